"""A loss of spectra."""

from __future__ import annotations

import math

from mindspore import Tensor, nn, ops

from srtrain.trainer.losses import LOSSES


@LOSSES.register("fft")
class FFTLoss(nn.Cell):
    """Mean absolute difference of the two-dimensional spectra, over their real and imaginary parts.

    The transform is orthonormal, so that the loss does not grow with the size of the pictures. It weighs every
    frequency alike, while the few low ones dominate a loss of pixels (Cho et al., ICCV 2021). It is computed as
    products with matrices of cosines and sines, because every device has these; patches are small.
    """

    def construct(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Return a scalar."""
        d = sr - gt  # the transform is linear
        rows, columns = _waves(d.shape[2]), _waves(d.shape[3])
        cosines, sines = ops.matmul(rows[0], d), ops.matmul(rows[1], d)
        real = ops.matmul(cosines, columns[0]) - ops.matmul(sines, columns[1])
        imaginary = ops.matmul(cosines, columns[1]) + ops.matmul(sines, columns[0])
        return (ops.mean(ops.abs(real)) + ops.mean(ops.abs(imaginary))) / 2


def _waves(n: int) -> tuple[Tensor, Tensor]:
    """Return the cosines and sines of the orthonormal transform of n values, (n, n) each."""
    place = ops.arange(n)
    turns = (
        ops.expand_dims(place, 1) * ops.expand_dims(place, 0) % n
    )  # whole turns change nothing, and stay exact
    angle = turns.astype("float32") * (2 * math.pi / n)
    return ops.cos(angle) / math.sqrt(n), ops.sin(angle) / math.sqrt(n)
