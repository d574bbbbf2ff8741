"""The two kinds of arrays that pictures come in."""

import numpy as np
from numpy.typing import NDArray

UInt8 = NDArray[np.uint8]
"""A decoded picture or patch: HWC RGB."""

Float32 = NDArray[np.float32]
"""What networks take and give: NCHW RGB in [0, 255], outputs not clipped."""
