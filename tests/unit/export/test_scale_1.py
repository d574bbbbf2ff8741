"""Networks that keep the size of the picture: every format and engine, tiles, and the command line."""

import numpy as np
import pytest

from srtrain.cli.main import main
from srtrain.data.picture import read_rgb, write_png
from srtrain.engines.tiles import Tiled
from srtrain.export.write import export
from srtrain.infer.open import open_engine
from srtrain.models import MODELS
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.models.upscale import Upscaler
from srtrain.trainer.checkpoint import CheckpointStore

pytestmark = pytest.mark.slow

NETWORKS = {
    "edsr": {"n_resblocks": 1, "n_feats": 8},
    "esrn": {"n_feats": 8, "blocks": ("S_1_8_8", "C_1_8_8")},
    "rdn": {"n_blocks": 1, "n_convs": 2, "growth": 8, "n_feats": 8},
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, tmp_path_factory):
    """A checkpoint of a network at scale 1, and the network."""
    folder = tmp_path_factory.mktemp(request.param)
    model = MODELS.build(request.param, scale=1, **NETWORKS[request.param])
    initialise(model, kaiming_uniform(), seed=1)
    about = {"model": request.param, "model_args": NETWORKS[request.param], "scale": 1}
    CheckpointStore(folder / "run" / "checkpoints", about).save(0, {"model": model.parameters_dict()}, {})
    return folder / "run", Upscaler(model)


def test_every_format_computes_the_same_and_tiles_show_no_seams(network):
    run, upscale = network
    lq = np.random.default_rng(0).uniform(0, 255, (1, 3, 45, 53)).astype(np.float32)
    of_kernels = (
        ("native",) if "edsr" in str(run) else ()
    )  # they run no RDN, and no network that halves its pictures
    for suffix in ("onnx", "mindir", "param", *of_kernels):
        engine = open_engine(export(run, run.parent / f"x.{suffix}").file)
        assert engine.scale == 1
        np.testing.assert_allclose(engine(lq), upscale(lq), atol=1e-3, err_msg=suffix)
        np.testing.assert_allclose(Tiled(engine, tile_px=40)(lq), upscale(lq), atol=1e-3, err_msg=suffix)


def test_infer_keeps_the_size(network, tmp_path):
    run, upscale = network
    noisy = np.random.default_rng(0).integers(0, 256, (21, 34, 3)).astype(np.uint8)
    write_png(tmp_path / "noisy.png", noisy)
    file = tmp_path / "clean.png"
    assert (
        main(["infer", str(run), str(tmp_path / "noisy.png"), "--to", str(file), "--engine", "mindspore"])
        == 0
    )
    expected = upscale(noisy.transpose(2, 0, 1)[None].astype(np.float32))[0].transpose(1, 2, 0)
    assert np.abs(read_rgb(file) - np.clip(expected, 0, 255)).max() < 0.51
