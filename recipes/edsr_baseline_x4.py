"""EDSR-baseline x4 (16 blocks, 64 features), fine-tuned from x2: the row "EDSR baseline" of table 1 at x4.

Run:       python tools/run.py recipes/edsr_baseline_x4.py data.root=FOLDER_OF_DIV2K
Start:     from the weights in runs/edsr_baseline_x2, which recipes/edsr_baseline_x2.py trains. init_from= takes another
           run folder or weights file. The log lists what was loaded, skipped and left as initialised.
Expected:  28.95 dB on DIV2K 801-900 (div2k_rgb); 32.09 dB on Set5 (paper_y)
"""

from _edsr import BASELINE, paper, small

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return paper("edsr_baseline_x4", scale=4, model=BASELINE, init_from="runs/edsr_baseline_x2")


def smoke() -> Recipe:
    return small(recipe())
