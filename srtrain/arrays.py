"""The two types of arrays that hold pictures."""

import numpy as np
from numpy.typing import NDArray

UInt8 = NDArray[np.uint8]
"""A decoded picture or patch: HWC RGB."""

Float32 = NDArray[np.float32]
"""Input and output of networks: NCHW RGB in [0, 255]; outputs are not clipped."""
