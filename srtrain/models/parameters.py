"""Writing into Parameters."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import ops
from numpy.typing import NDArray


def put(parameter: ms.Parameter, value: NDArray[np.float32] | float) -> None:
    """Give a Parameter a new value of its own shape, in its own dtype.

    ``Parameter.set_data`` would do in graph mode, but PyNative mode ignores it after the first update.
    """
    ops.assign(parameter, ms.Tensor(value, parameter.dtype))
