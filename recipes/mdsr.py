"""MDSR (80 blocks, 64 features): one network for x2, x3 and x4, the row "MDSR" of the paper.

Run:       python tools/run.py recipes/mdsr.py data.root=FOLDER_OF_DIV2K
Expected:  34.96 dB at x2, 31.25 at x3 and 29.26 at x4 on DIV2K 801-900 (div2k_rgb)
"""

from _edsr import MULTI, multi, small

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return multi("mdsr", MULTI)


def smoke() -> Recipe:
    return small(recipe())
