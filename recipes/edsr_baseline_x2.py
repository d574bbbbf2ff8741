"""EDSR-baseline x2 (16 blocks, 64 features): the row "EDSR baseline" of table 1 at x2.

Run:       python tools/run.py recipes/edsr_baseline_x2.py data.root=FOLDER_OF_DIV2K
Expected:  34.61 dB on DIV2K 801-900 (div2k_rgb); 37.99 dB on Set5 (paper_y)
"""

from _edsr import BASELINE, paper, small

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return paper("edsr_baseline_x2", scale=2, model=BASELINE)


def smoke() -> Recipe:
    return small(recipe())
