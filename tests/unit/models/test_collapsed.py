"""The collapsed end in exported files: the plain network at every size, in tiles, and with real weights."""

import itertools

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from srtrain.engines.tiles import Tiled
from srtrain.export.options import Options
from srtrain.export.write import export
from srtrain.infer.open import open_engine
from srtrain.models.collapsed import CollapsedEnd, collapse_end, is_collapsed
from srtrain.models.edsr import EDSR
from srtrain.models.ensemble import SelfEnsemble
from srtrain.models.initialise import initialise, kaiming_uniform

LIMIT = 1e-3  # grey levels
NETWORKS = {
    **{f"edsr_x{scale}": ("edsr", scale, {"n_resblocks": 1, "n_feats": 8}) for scale in (2, 3, 4)},
    **{
        f"esrn_x{scale}": ("esrn", scale, {"blocks": ("S_2_8_8", "G_2_8_8"), "n_feats": 8})
        for scale in (2, 3, 4)
    },
    "rdn_x2": ("rdn", 2, {"n_blocks": 1, "n_convs": 1, "growth": 8, "n_feats": 8}),
}


def noise(*shape):
    return np.random.default_rng(sum(shape)).uniform(0, 255, shape).astype(np.float32)


def both(checkpoint, tmp_path, name, suffix):
    """Return the engines of a network with the collapsed end and with the plain one."""
    model, scale, args = NETWORKS[name]
    source = checkpoint(model, scale, **args)
    found = [
        open_engine(export(source, tmp_path / f"{plain}{suffix}", Options(plain=plain)).file)
        for plain in (False, True)
    ]
    assert [engine.about["linear_end"] for engine in found] == ["collapsed", "plain"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "suffix"),
    [*((name, ".onnx") for name in NETWORKS), *((name, ".native") for name in NETWORKS if name != "rdn_x2")],
)
def test_it_computes_the_same_at_every_size_and_in_tiles(checkpoint, tmp_path, name, suffix):
    collapsed, plain = both(checkpoint, tmp_path, name, suffix)
    for size in itertools.product(range(1, 8), repeat=2):
        lq = noise(2, 3, *size)
        np.testing.assert_allclose(collapsed(lq), plain(lq), atol=LIMIT, err_msg=str(size))
    lq = noise(1, 3, 60, 47)
    tiled = Tiled(collapsed, tile_px=40)
    for run, reference in ((tiled, plain), (SelfEnsemble(collapsed), SelfEnsemble(plain))):
        np.testing.assert_allclose(run(lq), reference(lq), atol=LIMIT)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["edsr_x3", "edsr_x4"])
def test_mindir_computes_the_same(checkpoint, tmp_path, name):
    collapsed, plain = both(checkpoint, tmp_path, name, ".mindir")
    for size in ((1, 1), (1, 2), (2, 1), (3, 7), (6, 5)):
        lq = noise(2, 3, *size)
        np.testing.assert_allclose(collapsed(lq), plain(lq), atol=LIMIT, err_msg=str(size))


@pytest.mark.slow
@pytest.mark.shared_data
def test_it_computes_the_same_with_real_weights(shared_data, tmp_path):
    source = next((shared_data / "weights" / "EDSR_f64b5_x2").glob("*.npz"))
    engine = open_engine(export(source, tmp_path / "x.onnx").file)
    assert engine.about["linear_end"] == "collapsed"
    plain = open_engine(export(source, tmp_path / "plain.onnx", Options(plain=True)).file)
    for size in ((1, 1), (2, 3), (17, 24)):
        lq = noise(1, 3, *size)
        np.testing.assert_allclose(engine(lq), plain(lq), atol=LIMIT)


def new_model(kind=EDSR, **args):
    model = kind(2, n_resblocks=1, n_feats=4, **args)
    initialise(model, kaiming_uniform(), seed=1)
    return model


def test_the_layers_are_replaced_by_one_cell(pynative):
    lq = ms.Tensor(noise(1, 3, 5, 6))
    model = new_model()
    expected = model(lq).asnumpy()
    assert collapse_end(model)
    assert is_collapsed(model)
    assert isinstance(model.upsampler, CollapsedEnd)
    assert {type(model.tail), type(model.add_mean)} == {nn.Identity}
    np.testing.assert_allclose(model(lq).asnumpy(), expected, atol=1e-4)


class Sharper(EDSR):
    """Computes something else at its end than EDSR, which its ``linear_end`` does not say."""

    def construct(self, lq: ms.Tensor) -> ms.Tensor:
        return 2 * super().construct(lq)


class Named(Sharper):
    """Says what its end is."""

    linear_end = ("upsampler", "tail")

    def construct(self, lq: ms.Tensor) -> ms.Tensor:
        x = self.head(self.subtract_mean(lq))
        return self.tail(self.upsampler(x + self.body_end(self.body(x))))


def test_a_derived_network_is_collapsed_only_if_it_names_its_own_end(pynative):
    assert not collapse_end(new_model(Sharper))
    assert collapse_end(new_model(Named))


def test_a_layer_of_another_kind_in_the_end_keeps_it_as_it_is(pynative):
    model = new_model()
    model.upsampler.append(nn.ReLU())
    assert not collapse_end(model)
    assert not is_collapsed(model)


def test_kernels_that_reach_too_far_keep_it_as_it_is(pynative):
    model = EDSR(4, n_resblocks=1, n_feats=4, kernel_px=5)
    assert not collapse_end(model)
