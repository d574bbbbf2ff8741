"""RFDN x4 (4 blocks, 50 features, 433 448 parameters) of Liu et al., ECCV workshops 2020.

Run:       python tools/run.py recipes/rfdn_x4.py data.root=FOLDER
           FOLDER contains DIV2K, Set5 and Set14
Expected:  32.16 dB on Set5 (paper_y); Set14 28.65: what the authors' weights score
Time:      not measured: a day or more on one card
"""

from _light import light, small

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    """Return the training of section 4.1: input of 64 px. The authors also train on Flickr2K."""
    psnr = {"set5": 32.159, "set14": 28.645}
    return light("rfdn_x4", scale=4, model="rfdn", lr=5e-4, gt_patch_px=256, batch_size=64, psnr=psnr)


def smoke() -> Recipe:
    return small(recipe())
