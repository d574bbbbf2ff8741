"""EDSR+ x4: EDSR (full) with the ×8 self-ensemble, the row "EDSR+" of the paper.

Run:       python tools/run.py recipes/edsr_plus_x4.py data.root=FOLDER_OF_DIV2K
           a trained EDSR needs no training: srtrain evaluate runs/edsr_x4_finetune --method self-ensemble --sets …
Start:     from the weights in runs/edsr_x2, which recipes/edsr_x2.py trains
Expected:  29.38 dB on DIV2K 801-900 (div2k_rgb), with the self-ensemble
"""

from _edsr import FULL, paper, plus, small

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return plus("edsr_plus_x4", paper("edsr_x4_finetune", scale=4, model=FULL, init_from="runs/edsr_x2"))


def smoke() -> Recipe:
    return small(recipe())
