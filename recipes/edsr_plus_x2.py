"""EDSR+ x2: EDSR (full) with the ×8 self-ensemble, the row "EDSR+" of the paper.

Run:       python tools/run.py recipes/edsr_plus_x2.py data.root=FOLDER_OF_DIV2K
           a trained EDSR needs no training: srtrain evaluate runs/edsr_x2 --method self-ensemble --sets …
Expected:  35.12 dB on DIV2K 801-900 (div2k_rgb), with the self-ensemble
"""

from _edsr import FULL, paper, plus, small

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return plus("edsr_plus_x2", paper("edsr_x2", scale=2, model=FULL))


def smoke() -> Recipe:
    return small(recipe())
