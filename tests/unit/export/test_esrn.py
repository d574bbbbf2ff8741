"""ESRN in every format with dynamic sizes: every engine agrees, and tiles show no seams."""

import numpy as np
import onnx
import pytest

from srtrain.engines.tiles import Tiled
from srtrain.export.fold import fold
from srtrain.export.graph import PADDING
from srtrain.export.write import export
from srtrain.infer.open import open_engine
from srtrain.models.esrn import ESRN
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.trainer.checkpoint import CheckpointStore

pytestmark = pytest.mark.slow

BLOCKS = ("S_2_8_16", "G_4_8_16", "C_2_8_16")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A checkpoint of a small network, exported to everything."""
    folder = tmp_path_factory.mktemp("esrn")
    model = ESRN(2, BLOCKS, n_feats=8)
    initialise(model, kaiming_uniform(), seed=1)
    about = {"model": "esrn", "model_args": {"blocks": BLOCKS, "n_feats": 8}, "scale": 2}
    CheckpointStore(folder / "run" / "checkpoints", about).save(
        0, {"model": dict(model.parameters_dict())}, {}
    )
    for suffix in ("onnx", "mindir", "param"):
        export(folder / "run", folder / f"x.{suffix}")
    return folder


def engines(files):
    return {name: open_engine(files / name) for name in ("run", "x.onnx", "x.mindir", "x.param")}


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (12, 10), (13, 30)])
def test_every_engine_agrees(files, size):
    lq = np.random.default_rng(0).uniform(0, 255, (2, 3, *size)).astype(np.float32)
    found = {name: engine(lq) for name, engine in engines(files).items()}
    for name, sr in found.items():
        assert sr.shape == (2, 3, 2 * size[0], 2 * size[1]), name
        np.testing.assert_allclose(sr, found["run"], atol=1e-3, err_msg=name)


def test_no_size_is_baked_in(files):
    graph = onnx.load(str(files / "x.onnx")).graph
    kinds = {node.op_type for node in graph.node if not node.name.startswith(PADDING)}
    assert "Reshape" not in kinds
    assert {"AveragePool", "Gather", "DepthToSpace"} <= kinds
    shape = graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param for d in shape] == ["batch", "", "height", "width"]


def test_ncnn_shuffles_and_pools_by_its_own_layers(files):
    kinds = {line.split()[0] for line in (files / "x.param").read_text().splitlines()[2:]}
    assert {"ShuffleChannel", "Pooling", "PixelShuffle"} <= kinds


@pytest.mark.parametrize("name", ["x.onnx", "x.param", "x.mindir"])
@pytest.mark.parametrize("size", [(71, 90), (64, 67)])
def test_tiles_show_no_seams_though_the_network_halves(files, name, size):
    engine = open_engine(files / name)
    lq = np.random.default_rng(0).uniform(0, 255, (1, 3, *size)).astype(np.float32)
    tiled = Tiled(engine, tile_px=2 * 25 + 11)
    assert tiled.overlap.px == 2 + 2 + 4 + 13 + 3
    rounding = 1e-3 if name == "x.param" else 1e-4  # Winograd's, which depends on the size
    np.testing.assert_allclose(tiled(lq), engine(lq), atol=rounding)


def test_folding_changes_nothing(pynative):
    import mindspore as ms

    model = ESRN(3, BLOCKS, n_feats=8)
    lq = ms.Tensor(np.random.default_rng(0).uniform(0, 255, (1, 3, 5, 8)).astype(np.float32))
    before = model(lq).asnumpy()
    np.testing.assert_allclose(fold(model)(lq).asnumpy(), before, atol=1e-3)
