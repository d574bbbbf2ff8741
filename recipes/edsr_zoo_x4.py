"""EDSR x4 as MindSpore's model zoo trains it: 6000 epochs, patch 192, float16 (O3), fine-tuned from x2.

Run:       python tools/run.py recipes/edsr_zoo_x4.py data.root=FOLDER_OF_DIV2K
Start:     from the weights in runs/edsr_zoo_x2, which recipes/edsr_zoo_x2.py trains. init_from= takes another run
           folder or weights file. The log lists what was loaded, skipped and left as initialised.
Expected:  29.25 dB on DIV2K 801-900 (div2k_rgb); 29.370 dB with the ×8 self-ensemble
Time:      21.0 s per epoch, 36 hours in all on one Ascend 910 (from the model zoo's README)
"""

from _edsr import model_zoo, small_zoo

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return model_zoo("edsr_zoo_x4", scale=4, init_from="runs/edsr_zoo_x2")


def smoke() -> Recipe:
    return small_zoo(recipe())
