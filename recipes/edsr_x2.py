"""EDSR x2, the full network (32 blocks, 256 features): the row "EDSR x2" of the paper.

Run:       python tools/run.py recipes/edsr_x2.py data.root=FOLDER_OF_DIV2K
Expected:  35.03 dB on DIV2K 801-900 (div2k_rgb); 35.12 dB with the ×8 self-ensemble
Time:      about 29 hours on one Ascend 910 (from the model zoo: batch 16, patch 192)
"""

from _edsr import FULL, paper, small

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return paper("edsr_x2", scale=2, model=FULL)


def smoke() -> Recipe:
    return small(recipe())
