"""Denoising with EDSR-baseline at scale 1: Gaussian noise of sigma 25 in all colours, the same in every evaluation.

Run:       python tools/run.py recipes/edsr_denoise.py data.root=FOLDER_OF_DIV2K
           srtrain infer runs/edsr_denoise noisy.png
Expected:  not published for this network; the noisy input has 20.23 dB on chelsea (basicsr_rgb)
"""

from _edsr import BASELINE, paper, small
from _lowlevel import NOISE, restoration

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return restoration(paper("edsr_denoise", scale=1, model=BASELINE), "edsr_denoise", NOISE)


def smoke() -> Recipe:
    return small(recipe())
