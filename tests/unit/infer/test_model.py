"""Pictures of every kind through `srtrain.load` and `Model.upscale`, compared with the engine itself."""

import subprocess
import sys

import numpy as np
import pytest

import srtrain
from srtrain.data.resize import imresize
from srtrain.errors import DataError, SrtrainError
from srtrain.infer.model import Model
from srtrain.metrics.protocol import quantise

RNG = np.random.default_rng(5)


@pytest.fixture
def model(onnx_engine):
    return Model(onnx_engine)


def through(engine, rgb):
    """Return the engine's output for HWC RGB in [0, 255] as float, not clipped."""
    return engine(np.ascontiguousarray(rgb.astype(np.float32).transpose(2, 0, 1)[None]))[0].transpose(1, 2, 0)


def test_three_lines_of_python(opened_onnx):
    model = srtrain.load(opened_onnx.path)
    picture = RNG.integers(0, 256, (20, 30, 3), np.uint8)
    sr = model.upscale(picture)
    assert (model.scale, model.about["model"]) == (2, "edsr")
    np.testing.assert_array_equal(sr, quantise(through(opened_onnx, picture)))


def test_grey_is_the_mean_of_three_equal_channels(model, onnx_engine):
    grey = RNG.integers(0, 256, (17, 22), np.uint8)
    expected = quantise(through(onnx_engine, grey[..., None].repeat(3, 2)).mean(axis=2))
    np.testing.assert_array_equal(model.upscale(grey), expected)
    np.testing.assert_array_equal(model.upscale(grey[..., None]), expected[..., None])


def test_alpha_goes_beside(model):
    rgba = RNG.integers(1, 256, (16, 20, 4), np.uint8)
    sr = model.upscale(rgba)
    np.testing.assert_array_equal(sr[..., :3], model.upscale(rgba[..., :3]))
    np.testing.assert_array_equal(sr[..., 3], imresize(np.ascontiguousarray(rgba[..., 3]), 2))
    grey = model.upscale(rgba[..., [0, 3]])
    np.testing.assert_array_equal(grey[..., 0], model.upscale(rgba[..., 0]))
    np.testing.assert_array_equal(grey[..., 1], sr[..., 3])


def test_what_hides_behind_alpha_does_not_show(model):
    rgba = RNG.integers(1, 256, (24, 24, 4), np.uint8)
    rgba[:, 12:, 3] = 0
    other = rgba.copy()
    other[:, 12:, :3] = 255 - other[:, 12:, :3]
    np.testing.assert_array_equal(model.upscale(rgba), model.upscale(other))


def test_16_bits_and_floating_point_are_finer_than_8(model, onnx_engine):
    deep = RNG.integers(0, 65536, (14, 18, 3), np.uint16)
    exact = through(onnx_engine, deep / 257.0)
    sr = model.upscale(deep)
    assert sr.dtype == np.uint16
    np.testing.assert_allclose(sr, np.clip(exact, 0, 255) * 257, atol=0.52)
    for dtype in (np.float32, np.float64):
        sr = model.upscale((deep / 65535).astype(dtype))
        assert sr.dtype == dtype
        np.testing.assert_allclose(sr, np.clip(exact, 0, 255) / 255, atol=1e-6)


def test_an_ensemble_in_tiles_and_a_view_of_a_picture(onnx_engine):
    picture = RNG.integers(0, 256, (60, 90, 3), np.uint8)[5:45, ::-2]
    whole = Model(onnx_engine, self_ensemble=True).upscale(picture)
    tiled = Model(onnx_engine, tile_px=25, self_ensemble=True).upscale(picture)
    assert (whole != tiled).mean() < 1e-3  # a sum rounded another way may fall on the other side of a half
    assert (whole != Model(onnx_engine).upscale(picture)).mean() > 0.1


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((4, 4, 3), np.int16), r"int16 and shape \(4, 4, 3\) cannot be upscaled"),
        (np.zeros((4, 4, 5), np.uint8), r"uint8 and shape \(4, 4, 5\) cannot be upscaled"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"shape \(1, 4, 4, 3\) cannot be upscaled"),
        (np.zeros((0, 4, 3), np.uint8), r"a picture of shape \(0, 4, 3\) has no pixels"),
        (
            np.full((4, 4, 3), 255.0),
            "float64 picture has values from 255 to 255, but floating point must be in",
        ),
        (np.full((4, 4, 3), np.nan, np.float32), "float32 picture has values from nan to nan"),
    ],
)
def test_what_is_no_picture_is_refused(model, picture, message):
    with pytest.raises(DataError, match=message):
        model.upscale(picture)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_output_that_is_not_finite_is_an_error(model, monkeypatch, dtype):
    picture = np.full((8, 8, 3), 9, dtype)
    run = type(model.tiled.engine).__call__
    monkeypatch.setattr(
        type(model.tiled.engine), "__call__", lambda self, lq: run(self, lq) * np.float32(np.inf)
    )
    with pytest.raises(SrtrainError, match=r"the network in .* not finite numbers"):
        model.upscale(picture)


def test_importing_the_package_imports_nothing_heavy():
    code = """if True:
        import sys, srtrain
        assert not {"numpy", "mindspore", "cv2"} & set(sys.modules)
        srtrain.load
        assert not {"mindspore", "numba", "scipy", "onnx", "PIL"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_the_package_has_not():
    with pytest.raises(AttributeError, match="module 'srtrain' has no attribute 'lod'"):
        srtrain.lod  # noqa: B018  to look it up is the point
