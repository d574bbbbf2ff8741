"""EDSR x4, the full network, trained from random weights, to compare with fine-tuning from x2 (figure 4).

Run:       python tools/run.py recipes/edsr_x4_scratch.py data.root=FOLDER_OF_DIV2K
Expected:  29.25 dB on DIV2K 801-900 (div2k_rgb), reached more slowly than when fine-tuned from x2
Time:      about 36 hours on one Ascend 910 (from the model zoo: batch 16, patch 192)
"""

from _edsr import FULL, paper, small

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return paper("edsr_x4_scratch", scale=4, model=FULL)


def smoke() -> Recipe:
    return small(recipe())
