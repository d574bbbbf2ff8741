"""ONNX Runtime: threads."""

import pytest

from srtrain.infer.open import open_engine


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_bound(exported, threads):
    engine = open_engine(exported / "net.onnx", threads=threads)
    assert engine._session.get_session_options().intra_op_num_threads == threads
