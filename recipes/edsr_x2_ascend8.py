"""EDSR x2 as MindSpore's model zoo trains it on eight Ascend 910: batch 2 per card, 16 in all.

Run:       python tools/run.py recipes/edsr_x2_ascend8.py data.root=FOLDER_OF_DIV2K      (one process, to try it out)
           python tools/launch.py -n 8 recipes/edsr_x2_ascend8.py data.root=FOLDER_OF_DIV2K
           The batch is that of all cards together, so the result does not depend on their number.
Expected:  35.03 dB on DIV2K 801-900 (div2k_rgb); 35.063 dB with the ×8 self-ensemble
Time:      2.76 s per epoch, 310 minutes in all on eight Ascend 910 (from the model zoo's README)
"""

from _edsr import model_zoo, small_zoo

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return model_zoo("edsr_x2_ascend8", scale=2)


def smoke() -> Recipe:
    return small_zoo(recipe())
