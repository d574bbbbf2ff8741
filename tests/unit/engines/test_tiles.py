"""Tiles give what the whole picture gives, through real networks, within a memory limit."""

import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from srtrain.data.picture import read_rgb
from srtrain.engines import ENGINES
from srtrain.engines.engine import Engine
from srtrain.engines.memory import resident_bytes
from srtrain.engines.overlap import OverlapCost, sees_beyond
from srtrain.engines.tiles import Tiled
from srtrain.errors import RecipeError, SrtrainError
from srtrain.infer.open import open_engine
from srtrain.models.ensemble import SelfEnsemble

RADIUS = 6  # 1 (head) + 2 (block) + 1 (end of the body) + 1 (upsampler) + 1 (tail)


@pytest.fixture
def engine(onnx_engine):
    """A small EDSR x2."""
    return onnx_engine


class OneSize(Engine):
    """An engine that accepts one size only, like models exported for the Ascend 310."""

    name = "one_size"

    def __init__(self, inner, input_px):
        self.inner, self.input_px = inner, input_px
        self.path, self.scale, self.about = inner.path, inner.scale, inner.about

    def __call__(self, lq):
        assert lq.shape[2:] == self.input_px
        return self.inner(lq)


def picture(height, width, n=1, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (n, 3, height, width)).astype(np.float32)


@pytest.mark.parametrize(("height", "width"), [(50, 70), (31, 16), (64, 33), (5, 80), (1, 1)])
@pytest.mark.parametrize("tile_px", [25, 31, 64])
def test_tiled_equals_whole(engine, height, width, tile_px):
    lq = picture(height, width, n=2)
    whole = np.concatenate([engine(lq[:1]), engine(lq[1:])])
    np.testing.assert_allclose(Tiled(engine, tile_px)(lq), whole, atol=1e-4, rtol=0)


def test_one_pixel_less_of_overlap_is_seen(engine):
    lq = picture(50, 70)
    difference = np.abs(Tiled(engine, 31, RADIUS - 1)(lq) - engine(lq)).max()
    assert difference > 1e-3


def test_self_ensemble_inside_the_tile(engine):
    lq = picture(40, 50)
    tiled = Tiled(engine, 29, self_ensemble=True)
    np.testing.assert_allclose(tiled(lq), SelfEnsemble(engine)(lq), atol=1e-4, rtol=0)


@pytest.mark.parametrize("self_ensemble", [False, True])
@pytest.mark.parametrize("input_px", [(32, 32), (20, 31)])
def test_a_network_of_one_size_runs_any_larger_picture(engine, input_px, self_ensemble):
    lq = picture(40, 45)
    whole = (SelfEnsemble(engine) if self_ensemble else engine)(lq)
    tiled = Tiled(OneSize(engine, input_px), self_ensemble=self_ensemble)
    np.testing.assert_allclose(tiled(lq), whole, atol=1e-4, rtol=0)


def test_a_network_of_one_size_sees_smaller_pictures_mirrored_and_right_up_to_there(engine):
    lq = picture(20, 50)
    sr = Tiled(OneSize(engine, (32, 32)))(lq)
    assert sr.shape == (1, 3, 40, 100)
    mirrored = np.pad(lq, ((0, 0), (0, 0), (0, 12), (0, 0)), "symmetric")
    np.testing.assert_allclose(sr, engine(mirrored)[:, :, :40], atol=1e-4, rtol=0)
    far = 2 * (20 - RADIUS)
    np.testing.assert_allclose(sr[:, :, :far], engine(lq)[:, :, :far], atol=1e-4, rtol=0)
    assert Tiled(OneSize(engine, (32, 32)))(lq[:, :, :1, :1]).shape == (1, 3, 2, 2)


def test_less_overlap_says_what_it_costs_on_this_picture(engine):
    lq, said = picture(50, 70), []
    sr = Tiled(engine, 17, overlap_px=1, say=said.append)(lq)
    exact = engine(lq)
    [text] = said
    assert text.startswith(
        "an overlap of 1 px instead of the network's receptive radius of 6 px changes the output: "
    )
    assert "measured on 4 of 20 tiles" in text
    cost = OverlapCost()
    cost.add(sr, exact)
    assert abs(float(text.split(" dB")[0].split()[-1]) - cost.psnr) < 3  # four tiles of twenty
    assert 0 < float(text.split("at most ")[1].split()[0]) <= cost.max_difference * 1.1


def test_an_overlap_that_is_enough_says_nothing_and_one_tile_neither(engine):
    said = []
    Tiled(engine, 31, overlap_px=RADIUS + 1, say=said.append)(picture(50, 50))
    Tiled(engine, 64, overlap_px=1, say=said.append)(picture(50, 50))
    assert said == []


def test_a_network_that_does_not_say_how_far_it_looks_gets_an_overlap_and_its_cost_is_said(engine):
    engine.about = {"scale": 2}
    said = []
    lq = picture(40, 300)
    sr = Tiled(engine, 110, say=said.append)(lq)
    np.testing.assert_allclose(sr, engine(lq), atol=1e-4, rtol=0)
    assert "32 px instead of one of 96 px (the receptive radius of this network is unknown)" in said[0]


@pytest.fixture
def pooling(tmp_path):
    """A network that adds a tenth of the mean of all pixels that it sees, and repeats pixels."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
        helper.make_node("Mul", ["mean", "tenth"], ["part"]),
        helper.make_node("Add", ["x", "part"], ["sum"]),
        helper.make_node("Upsample", ["sum", "scales"], ["y"], mode="nearest"),
    ]
    constants = [
        helper.make_tensor("tenth", TensorProto.FLOAT, [], [0.1]),
        helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 2, 2]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, None, None]) for name in "xy")
    opset = helper.make_opsetid("", 9)
    graph = helper.make_graph(nodes, "pooling", [x], [y], constants)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=4), str(tmp_path / "x.onnx"))
    return open_engine(tmp_path / "x.onnx", threads=1)


def gradient(height, width):
    """A picture that is dark on the left and bright on the right, so that the means of tiles differ."""
    grey = np.linspace(0, 220, width, dtype=np.float32)
    return np.broadcast_to(grey, (1, 3, height, width)).copy()


@pytest.mark.parametrize("memory_bytes", [None, 10**11])
@pytest.mark.parametrize("self_ensemble", [False, True])
def test_a_network_that_pools_is_compared_with_the_whole_picture(pooling, memory_bytes, self_ensemble):
    lq, said = gradient(100, 400), []
    tiled = Tiled(pooling, 96, memory_bytes=memory_bytes, self_ensemble=self_ensemble, say=said.append)
    cost = OverlapCost()
    cost.add(tiled(lq), pooling(lq))
    [text] = said
    assert text == (
        f"this network sees the whole picture, so tiles with an overlap of 32 px change its output: PSNR "
        f"{cost.psnr:.1f} dB (RGB), at most {cost.max_difference:.2g} grey levels, measured against the output for the "
        f"whole picture"
    )
    assert cost.psnr < 34


def test_without_memory_for_the_whole_picture_the_cost_is_called_an_estimate(pooling):
    lq, said = gradient(100, 400), []
    tiled = Tiled(pooling, 96, memory_bytes=1, say=said.append)
    cost = OverlapCost()
    cost.add(tiled(lq), pooling(lq))
    [text] = said
    assert "this network sees the whole picture, so tiles with an overlap of 32 px change its output." in text
    assert "this is only an estimate, from an overlap of 96 px on 4 of " in text
    assert text.endswith("the true difference is larger. Give more memory for an exact output")
    assert float(text.split("PSNR ")[1].split()[0]) > cost.psnr


def test_a_network_of_one_size_that_pools_says_so(pooling):
    said = []
    Tiled(OneSize(pooling, (230, 230)), overlap_px=0, say=said.append)(gradient(100, 400))
    assert "this network sees the whole picture, so tiles with an overlap of 0 px" in said[0]
    assert "only an estimate, from an overlap of 32 px" in said[0]


@pytest.mark.parametrize(("px", "sees"), [(RADIUS - 1, True), (RADIUS, False), (300, False)])
def test_how_far_a_network_sees_is_measured(engine, px, sees):
    """The pixel in the corner of a network with a radius of 6 px depends on 6 px in each direction."""
    assert sees_beyond(engine, px) == sees
    assert not sees_beyond(engine, px, (px, px))


def test_the_cost_with_a_network_of_one_size(engine):
    said = []
    tiled = Tiled(OneSize(engine, (20, 20)), overlap_px=2, say=said.append)
    tiled(picture(50, 50))
    assert "2 px instead of the network's receptive radius of 6 px" in said[0]
    Tiled(OneSize(engine, (12, 12)), overlap_px=2, say=said.append)(picture(50, 50))
    assert said[1] == "the effect of an overlap of 2 px cannot be measured with tiles this small"


class Forgetful(Engine):
    """An engine that has memory for a limited number of pixels."""

    name = "forgetful"

    def __init__(self, inner, n_px):
        self.inner, self.n_px, self.seen = inner, n_px, []
        self.path, self.scale, self.about = inner.path, inner.scale, inner.about

    def __call__(self, lq):
        self.seen.append(lq.shape[2:])
        if lq.shape[2] * lq.shape[3] > self.n_px:
            raise MemoryError
        return self.inner(lq)


def test_when_memory_runs_out_tiles_are_halved_and_it_is_said(engine):
    lq, said = picture(100, 110), []
    tiled = Tiled(Forgetful(engine, 4000), say=said.append)
    np.testing.assert_allclose(tiled(lq), engine(lq), atol=1e-4, rtol=0)
    assert said[0] == "memory ran out with tiles of 110×100 px: continuing with half that size"
    assert len(said) == 2
    n_before = len(tiled.engine.seen)
    tiled(lq)  # it has learned
    assert all(h * w <= 4000 for h, w in tiled.engine.seen[n_before:])


def test_when_no_tile_is_small_enough_it_is_an_error(engine):
    with pytest.raises(
        SrtrainError, match=r"memory ran out with a tile of .*, and the tile cannot be smaller"
    ):
        Tiled(Forgetful(engine, 1000))(picture(100, 110))
    with pytest.raises(SrtrainError, match="a tile of 64×64 px"):
        Tiled(OneSize(Forgetful(engine, 1000), (64, 64)))(picture(100, 110))


def test_tiles_that_their_overlap_leaves_nothing_of_are_refused(engine):
    with pytest.raises(RecipeError, match=r"a tile of 12 px is too small: 6 px of each side.*at least 13 px"):
        Tiled(engine, 12)
    with pytest.raises(RecipeError, match="a tile of 12 px is too small"):
        Tiled(OneSize(engine, (12, 12)))(picture(13, 12))
    with pytest.raises(RecipeError, match="an overlap of -1 px is not possible"):
        Tiled(engine, 12, -1)


def test_less_memory_makes_smaller_tiles_until_they_cannot_be_smaller(engine):
    said, areas = [], []
    base = resident_bytes()
    for memory_bytes in (base + 400_000_000, base + 100_000_000, 1):
        tiled = Tiled(engine, memory_bytes=memory_bytes, say=said.append)
        areas.append(math.prod(tiled._tile(3000, 5000, 0)))
    assert areas[0] > areas[1] > areas[2] == (2 * RADIUS + 32) ** 2
    [text] = said
    assert "the memory limit leaves no room for tiles beside the picture and the loaded network" in text


def test_what_the_caller_holds_is_not_left_for_tiles(engine):
    tiled = Tiled(engine, memory_bytes=resident_bytes() + 500_000_000)
    assert math.prod(tiled._tile(3000, 5000, 300_000_000)) < 0.6 * math.prod(tiled._tile(3000, 5000, 0))


def test_small_pictures_are_not_cut_whatever_the_memory(engine):
    assert Tiled(engine, memory_bytes=1)._tile(100, 150, 10**12) == (100, 150)


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "tolerance"),
    # Winograd rounds by where a pixel lies in its blocks; the blocks of ncnn follow the size, and so does the order of
    # the sums in MindSpore.
    [("mindspore", 1e-4), ("mindir", 5e-4), ("onnxruntime", 0), ("ncnn", 5e-4), ("native", 5e-3)],
)
def test_tiled_equals_whole_with_trained_weights_on_a_photograph(shared_data, name, tolerance):
    if not ENGINES.get(name).is_installed():
        pytest.skip(f"the engine {name} is not installed")
    weights = shared_data / "weights" / "EDSR_f64b5_x2" / "edsr_f64b5_x2_stdtail.npz"
    engine = open_engine(weights, name)
    photo = read_rgb(shared_data / "photos_1024" / "img_005.png")[400:490, 500:603]
    lq = photo.transpose(2, 0, 1)[None].astype(np.float32)
    np.testing.assert_allclose(Tiled(engine, 64)(lq), engine(lq), atol=tolerance, rtol=0)
