"""The base class of networks for pictures: the channels, the range and the normalisation of what they compute on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mindspore import nn

from srtrain.arrays import Float32
from srtrain.errors import RecipeError
from srtrain.metrics.colour import brightness
from srtrain.models.blocks.mean_shift import DIV2K_MEAN, Denormalise, MeanShift, Normalise

_WHITE = 255.0


class PictureNetwork(nn.Cell):
    """Subtracts a mean before the first layer of a network and adds it after the last one.

    Args:
        rgb_mean: mean colour in [0, 1]; it is subtracted from the input and added to the output. Use zeros for weights
            that were trained without a mean. A grey network uses its brightness, or takes one number.
        n_colors: channels of the pictures: 3 for RGB, or 1 for grey. A grey network is trained and scored on the
            brightness of pictures, ``0.299 R + 0.587 G + 0.114 B`` in [0, 255].
        rgb_range: the value of white inside the network, such as 1 or 255. Pictures are [0, 255] outside of it. Another
            value leaves the function as it is, and changes how an optimizer such as Adam moves the first and the last
            layer (docs/from_model_zoo.md). Files and engines always get the weights for 255.
        rgb_std: deviation of the colours; the network computes on colours minus the mean, divided by it. As with
            ``rgb_range``, only the parametrisation changes. A grey network takes one number, or three equal ones.

    Attributes:
        subtract_mean: the cell before the first layer.
        add_mean: the cell after the last layer.
    """

    passes_kwargs_on = True

    def __init__(
        self,
        rgb_mean: tuple[float, ...] = DIV2K_MEAN,
        n_colors: int = 3,
        rgb_range: float = _WHITE,
        rgb_std: tuple[float, ...] = (1.0, 1.0, 1.0),
    ) -> None:
        super().__init__()
        self.n_colors = n_colors
        mean = tuple(_channels("rgb_mean", rgb_mean, n_colors))
        factor = _factor(n_colors, rgb_range, rgb_std)
        self.subtract_mean: nn.Cell = MeanShift(mean, sign=-1)
        self.add_mean: nn.Cell = MeanShift(mean, sign=1)
        if np.any(factor != 1):
            self.subtract_mean, self.add_mean = Normalise(mean, factor), Denormalise(mean, factor)

    @classmethod
    def ends(cls, scale: int) -> tuple[str, str]:
        """Return the names of the first and the last convolution, which a factor of the pictures can be folded into."""
        return "head", "tail"

    @classmethod
    def weight_factors(cls, scale: int, args: Mapping[str, Any]) -> dict[str, Float32]:
        """Return how many times as large as the usual weights those of a network with these arguments are.

        The keys are the names of the Parameters that differ; a network on [0, 255] without ``rgb_std`` has none.
        """
        factor = _factor(
            args.get("n_colors", 3), args.get("rgb_range", _WHITE), args.get("rgb_std", (1.0, 1.0, 1.0))
        )
        if np.all(factor == 1):
            return {}
        first, last = cls.ends(scale)
        return {
            f"{first}.weight": 1 / factor.reshape(1, -1, 1, 1),
            f"{last}.weight": factor.reshape(-1, 1, 1, 1),
            f"{last}.bias": factor,
        }


def _factor(n_colors: int, rgb_range: float, rgb_std: Sequence[float]) -> Float32:
    """Return by how much the network's numbers are larger than those in [0, 255], for each channel.

    Raises:
        RecipeError: the range or a deviation is not above 0, or the number of channels is wrong.
    """
    deviations = np.array(_channels("rgb_std", rgb_std, n_colors), np.float64)
    if not rgb_range > 0 or not np.all(deviations > 0):
        raise RecipeError(
            f"model.rgb_range = {rgb_range!r} and model.rgb_std = {tuple(rgb_std)!r} must be above 0."
        )
    return (rgb_range / _WHITE / deviations).astype(np.float32)


def _channels(name: str, values: Sequence[float], n_colors: int) -> list[float]:
    """Return a value for each channel.

    Raises:
        RecipeError: the number of channels is neither 1 nor 3, or the values do not fit it.
    """
    if n_colors not in (1, 3):
        raise RecipeError(f"model.n_colors = {n_colors!r} is not one of 1 (grey) and 3 (RGB).")
    if len(values) == n_colors:
        return list(values)
    if n_colors == 1 and len(values) == 3 and (name == "rgb_mean" or len(set(values)) == 1):
        return [float(brightness(np.array(values, np.float64)))]
    raise RecipeError(
        f"model.{name} = {tuple(values)!r} does not fit model.n_colors = {n_colors}: give {n_colors} "
        f"number{'s' * (n_colors > 1)}."
    )
