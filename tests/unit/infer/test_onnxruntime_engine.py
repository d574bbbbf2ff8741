"""ONNX Runtime: threads, and running out of memory."""

import subprocess
import sys

import pytest

from srtrain.infer.engines import open_engine

LIMITED = """
import resource, sys
import numpy as np
from srtrain.infer.engines import open_engine
engine = open_engine(sys.argv[1], threads=1)
lq = np.zeros((1, 3, 4000, 4000), np.float32)
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
try:
    engine(lq)
except MemoryError as error:
    print("MemoryError", error)
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_bound(exported, threads):
    engine = open_engine(exported / "net.onnx", threads=threads)
    assert engine._session.get_session_options().intra_op_num_threads == threads


@pytest.mark.parametrize("suffix", [".onnx", ".param"])
def test_too_large_a_picture_is_a_memory_error(exported, suffix):
    """4 feature maps of 4000 x 4000 px are 256 MB each, and 4 times that after the upsampler's convolution."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(exported / f"net{suffix}")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("MemoryError"), done.stderr
