"""Assignment to Parameters in both modes of MindSpore."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import ops
from numpy.typing import NDArray


def put(parameter: ms.Parameter, value: NDArray[np.float32] | float) -> None:
    """Set the value of a Parameter; shape and dtype stay the same.

    ``Parameter.set_data`` is not used because PyNative mode ignores it after the first update.
    """
    ops.assign(parameter, ms.Tensor(value, parameter.dtype))
