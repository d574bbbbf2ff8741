"""EDSR x2 as MindSpore's model zoo trains it: 6000 epochs, patch 192, float16 (O3).

Run:       python tools/run.py recipes/edsr_zoo_x2.py data.root=FOLDER_OF_DIV2K
Expected:  35.03 dB on DIV2K 801-900 (div2k_rgb); 35.063 dB with the ×8 self-ensemble
Time:      16.5 s per epoch, 29 hours in all on one Ascend 910 (from the model zoo's README)
"""

from _edsr import model_zoo, small_zoo

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return model_zoo("edsr_zoo_x2", scale=2)


def smoke() -> Recipe:
    return small_zoo(recipe())
