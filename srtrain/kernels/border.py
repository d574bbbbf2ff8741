"""Correct the sides of a picture whose linear end was collapsed (srtrain/models/collapse.py), in NumPy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from srtrain.arrays import Float32
from srtrain.models.collapse import SIDES, Kernel


class Border:
    """The corrections of all sides and corners.

    Args:
        kernels: by place, as in ``LinearEnd.border``.
        n_features: channels before the linear end.
        scale: r; the kernels return the 3·r² channels of a block of r x r pixels.
        n_out: channels of the picture.

    Raises:
        ValueError: a kernel is missing, or has a wrong shape.
    """

    def __init__(self, kernels: Mapping[str, Kernel], n_features: int, scale: int, n_out: int) -> None:
        self._kernels, self._scale, self._n_out = kernels, scale, n_out
        if set(kernels) != set(SIDES):
            raise ValueError(f"corrections for {', '.join(sorted(kernels)) or 'no side'}")
        *_, self._depth, self._span = kernels["top"].weight.shape
        long, deep = self._span, self._depth
        for place, kernel in kernels.items():
            sizes = {"top": (deep, long), "bottom": (deep, long), "left": (long, deep), "right": (long, deep)}
            shape = (scale**2 * n_out, n_features, *sizes.get(place, (deep, deep)))
            if kernel.weight.shape != shape or kernel.bias.shape != shape[:1] or long % 2 == 0:
                raise ValueError(f"a correction of the {place} of shape {kernel.weight.shape}, not {shape}")

    def correct(self, features: Float32, picture: Float32) -> None:
        """Add the corrections.

        Args:
            features: (H, W, C), the input of the linear end.
            picture: (n_out, H·r, W·r), changed in place.
        """
        r = self._scale
        turned = features.transpose(1, 0, 2)
        for place in ("top", "bottom"):
            blocks = self._line(self._kernels[place].weight, self._strip(features, place == "bottom"))
            blocks += self._kernels[place].bias
            rows = picture[:, :r] if place == "top" else picture[:, -r:]
            rows += self._unfold(blocks).transpose(3, 1, 0, 2).reshape(rows.shape)
        for place in ("left", "right"):
            weight = self._kernels[place].weight.transpose(0, 1, 3, 2)
            blocks = self._line(weight, self._strip(turned, place == "right")) + self._kernels[place].bias
            columns = picture[..., :r] if place == "left" else picture[..., -r:]
            columns += self._unfold(blocks).transpose(3, 0, 1, 2).reshape(columns.shape)
        for last_row in (False, True):
            strip = self._strip(features, last_row).transpose(1, 0, 2)
            for last_column in (False, True):
                place = f"{'bottom' if last_row else 'top'}_{'right' if last_column else 'left'}"
                corner = self._strip(strip, last_column)  # (columns, rows, C)
                block = np.tensordot(self._kernels[place].weight, corner, ((1, 3, 2), (2, 0, 1)))
                block += self._kernels[place].bias
                part = picture[:, -r:] if last_row else picture[:, :r]
                part = part[..., -r:] if last_column else part[..., :r]
                part += self._unfold(block[None])[0].transpose(2, 0, 1)

    def _strip(self, features: Float32, last: bool) -> Float32:
        """Return the first or last rows that the corrections read; rows that there are not are zero."""
        rows = features[-self._depth :] if last else features[: self._depth]
        missing = self._depth - len(rows)
        return np.pad(rows, ((missing if last else 0, 0 if last else missing), (0, 0), (0, 0)))

    def _line(self, weight: Float32, strip: Float32) -> Float32:
        """Convolve a strip (depth, length, C) along its length with (O, C, depth, span); return (length, O)."""
        reach = self._span // 2
        padded = np.pad(strip, ((0, 0), (reach, reach), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, self._span, 1)  # (depth, length, C, span)
        return np.tensordot(windows, weight, ((0, 2, 3), (2, 1, 3)))

    def _unfold(self, blocks: Float32) -> Float32:
        """Return (n, 3·r²) as (n, r, r, 3)."""
        return blocks.reshape(-1, self._scale, self._scale, self._n_out)
