"""EDSR x3, the full network, fine-tuned from x2: the row "EDSR x3" of the paper.

Run:       python tools/run.py recipes/edsr_x3_finetune.py data.root=FOLDER_OF_DIV2K
Start:     from the weights in runs/edsr_x2, which recipes/edsr_x2.py trains. init_from= takes another run
           folder or weights file. The log lists what was loaded, skipped and left as initialised.
Expected:  31.26 dB on DIV2K 801-900 (div2k_rgb); 31.39 dB with the ×8 self-ensemble
Time:      about 37 hours on one Ascend 910 (from the model zoo: batch 16, patch 192)
"""

from _edsr import FULL, paper, small

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return paper("edsr_x3_finetune", scale=3, model=FULL, init_from="runs/edsr_x2")


def smoke() -> Recipe:
    return small(recipe())
