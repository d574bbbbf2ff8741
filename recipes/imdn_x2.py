"""IMDN x2 (6 blocks, 64 features, 694 404 parameters) of Hui et al., ACM MM 2019.

Run:       python tools/run.py recipes/imdn_x2.py data.root=FOLDER
           FOLDER contains DIV2K, Set5 and Set14; for x3 and x4 add scale=3 data.gt_patch_px=144 or scale=4
Expected:  38.00 dB on Set5 (paper_y); Set14 33.63: what the authors' weights score
Time:      not measured: a day or more on one card
"""

from _light import light, small

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    """Return the training of section 4.1."""
    psnr = {"set5": 37.996, "set14": 33.627}
    return light("imdn_x2", scale=2, model="imdn", lr=2e-4, gt_patch_px=192, batch_size=16, psnr=psnr)


def smoke() -> Recipe:
    return small(recipe())
