"""MDSR+: MDSR with the ×8 self-ensemble, the row "MDSR+" of the paper.

Run:       python tools/run.py recipes/mdsr_plus.py data.root=FOLDER_OF_DIV2K
           a trained MDSR needs no training: srtrain evaluate runs/mdsr --method self-ensemble --sets …
Expected:  35.05 dB at x2, 31.36 at x3 and 29.36 at x4 on DIV2K 801-900 (div2k_rgb), with the self-ensemble
"""

from _edsr import MULTI, multi, plus, small

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return plus("mdsr_plus", multi("mdsr", MULTI))


def smoke() -> Recipe:
    return small(recipe())
