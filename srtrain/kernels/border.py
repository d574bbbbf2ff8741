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
        for place, kernel in kernels.items():
            size = tuple(self._span if side is None else self._depth for side in _sides_of(place))
            shape = (scale**2 * n_out, n_features, *size)
            fits = kernel.weight.shape == shape and kernel.bias.shape == shape[:1] and self._span % 2
            if not fits:
                raise ValueError(f"a correction of the {place} of shape {kernel.weight.shape}, not {shape}")

    def correct(self, features: Float32, picture: Float32) -> None:
        """Add the corrections.

        Args:
            features: (H, W, C), the input of the linear end.
            picture: (n_out, H·r, W·r), changed in place.
        """
        r = self._scale
        for place, kernel in self._kernels.items():
            vertical, horizontal = _sides_of(place)
            read = self._read(self._read(features, 0, vertical), 1, horizontal)
            _, n_features, *size = kernel.weight.shape
            windows = np.lib.stride_tricks.sliding_window_view(read, (*size, n_features))[:, :, 0]
            blocks = np.tensordot(windows, kernel.weight, ((2, 3, 4), (2, 3, 1))) + kernel.bias
            blocks = blocks.reshape(*blocks.shape[:2], r, r, self._n_out)  # (rows, columns, r, r, n_out)
            part = picture[:, _first_or_last(vertical, r), _first_or_last(horizontal, r)]
            part += blocks.transpose(4, 0, 2, 1, 3).reshape(part.shape)

    def _read(self, features: Float32, axis: int, side: str | None) -> Float32:
        """Return what the corrections read along an axis: all and zeros around it, or the rows at one side."""
        margins = [(0, 0)] * 3
        if side is None:
            margins[axis] = (self._span // 2, self._span // 2)
            return np.pad(features, margins)
        n_read = min(self._depth, features.shape[axis])
        missing = self._depth - n_read  # rows that there are not are zero
        margins[axis] = (0, missing) if side in ("top", "left") else (missing, 0)
        first = 0 if side in ("top", "left") else features.shape[axis] - n_read
        return np.pad(np.take(features, range(first, first + n_read), axis), margins)


def _sides_of(place: str) -> tuple[str | None, str | None]:
    """Return the side above or below and the side to the left or right that a place touches."""
    touched = place.split("_")
    vertical = next((side for side in touched if side in ("top", "bottom")), None)
    return vertical, next((side for side in touched if side in ("left", "right")), None)


def _first_or_last(side: str | None, n: int) -> slice:
    """Return the first or last ``n`` rows or columns, or all of them."""
    return slice(None) if side is None else slice(n) if side in ("top", "left") else slice(-n, None)
