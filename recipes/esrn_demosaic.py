"""Demosaicing with ESRN at scale 1: the input has one colour for each pixel (RGGB), the others are 0.

Run:       python tools/run.py recipes/esrn_demosaic.py data.root=FOLDER_OF_DIV2K
Expected:  not published for this network; OpenCV's bilinear interpolation of the colours has 34.19 dB on chelsea
           (basicsr_rgb)
"""

from _esr import full
from _lowlevel import MOSAIC, restoration

from srtrain.recipe import Recipe
from srtrain.recipe.smoke import twin


def recipe() -> Recipe:
    return restoration(full("esrn_demosaic", scale=1), "esrn_demosaic", MOSAIC)


def smoke() -> Recipe:
    return twin(recipe(), n_feats=16, blocks=("S_2_8_16",))
