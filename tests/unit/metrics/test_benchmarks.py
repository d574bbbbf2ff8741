"""The metrics compared with published scores of MATLAB's bicubic on Set5 and Set14, the same in every paper."""

import cv2
import numpy as np
import pytest

from srtrain.data.resize import imresize
from srtrain.metrics.protocol import paper_y
from srtrain.metrics.psnr import psnr


def bicubic_pairs(folder, scale):
    """(stem, bicubic, ground truth) of every picture, from the official low-resolution files, uint8 RGB."""
    for path in sorted((folder / "HR").glob("*.png")):
        lq_path = folder / "LR_bicubic" / f"X{scale}" / f"{path.stem}x{scale}.png"
        lq, gt = (cv2.cvtColor(cv2.imread(str(p)), cv2.COLOR_BGR2RGB) for p in (lq_path, path))
        height, width = lq.shape[0] * scale, lq.shape[1] * scale
        yield path.stem, imresize(lq, scale=scale), gt[:height, :width]


# PSNR: measured with other code (../shared/data/README.md). SSIM: computed with scikit-image 0.26 on the same
# pictures. Papers print 33.66/0.9299, 30.39/0.8682, 28.42/0.8104 for Set5 and 30.24/0.8688, 27.55/0.7742,
# 26.00/0.7027 for Set14, where the grey bridge.png counts as raw grey.
BICUBIC = [
    ("Set5", 2, 33.673, 0.93029),
    ("Set5", 3, 30.403, 0.86891),
    ("Set5", 4, 28.429, 0.81114),
    ("Set14", 2, 30.325, 0.86985),
    ("Set14", 3, 27.631, 0.77588),
    ("Set14", 4, 26.088, 0.70480),
]


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "scale", "decibel", "similarity"), BICUBIC)
def test_bicubic_scores_what_it_scores_elsewhere(shared_data, name, scale, decibel, similarity):
    protocol = paper_y()
    scores = [protocol.score(sr, gt, scale) for _, sr, gt in bicubic_pairs(shared_data / name, scale)]
    assert len(scores) == {"Set5": 5, "Set14": 14}[name]
    assert np.mean([score["psnr"] for score in scores]) == pytest.approx(decibel, abs=0.0006)
    assert np.mean([score["ssim"] for score in scores]) == pytest.approx(similarity, abs=0.00001)


@pytest.mark.shared_data
@pytest.mark.parametrize(("scale", "decibel"), [(2, 30.230), (3, 27.537), (4, 25.994)])
def test_set14_with_its_grey_picture_taken_as_raw_grey(shared_data, scale, decibel):
    protocol = paper_y()
    scores = []
    for stem, sr, gt in bicubic_pairs(shared_data / "Set14", scale):
        if stem == "bridge":
            inner = slice(scale, -scale)
            sr, gt = (picture[inner, inner, :1].astype(np.float64) for picture in (sr, gt))
            scores.append(psnr(sr, gt))
        else:
            scores.append(protocol.psnr(sr, gt, scale))
    assert np.mean(scores) == pytest.approx(decibel, abs=0.0006)
