"""MDSR-baseline (16 blocks, 64 features): one network for x2, x3 and x4, the row "baseline (multi)" of the paper.

Run:       python tools/run.py recipes/mdsr_baseline.py data.root=FOLDER_OF_DIV2K
Expected:  34.63 dB at x2, 30.94 at x3 and 28.97 at x4 on DIV2K 801-900 (div2k_rgb); the numbers are of the
           authors' repository
"""

from _edsr import MULTI_BASELINE, multi, small

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return multi("mdsr_baseline", MULTI_BASELINE)


def smoke() -> Recipe:
    return small(recipe())
