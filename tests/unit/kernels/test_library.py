"""Convolutions of our own against sums in float64, for every vector length, method and number of threads."""

import ctypes
import multiprocessing
import subprocess

import numpy as np
import pytest

from srtrain.kernels import compile as build
from srtrain.kernels.library import DIRECT, F23, F43, Convolution, Library, load_library

pytestmark = pytest.mark.slow

# Relative errors of F(4,3), F(2,3) and direct sums against float64, with room for other processors.
LIMITS = {DIRECT: 1e-5, F23: 2e-6, F43: 3e-5}
SIZES = [(1, 1), (2, 3), (5, 5), (13, 17), (24, 9)]


@pytest.fixture(scope="module", params=[4, 8, 16])
def library(request, tmp_path_factory):
    """The library with vectors of 4, 8 and 16 floats; the compiler emulates those that the processor lacks."""
    command, _ = build.find_compiler()
    file = tmp_path_factory.mktemp("built") / f"lanes{request.param}.so"
    sources = sorted(map(str, build.SOURCE.glob("*.c")))
    words = build.compiler_words(command, build.instruction_set())
    words += [f"-DLANES={request.param}", "-w", *sources, "-o", str(file)]
    subprocess.run(words, check=True)
    library = Library(file)
    assert library.lanes == request.param
    return library


def nhwc(library, chw):
    out = np.empty((*chw.shape[1:], library.padded(chw.shape[0])), np.float32)
    library.from_nchw(np.ascontiguousarray(chw, np.float32), out)
    return out


def convolve(x, weight, bias):
    """Sum in float64."""
    reach, (height, width) = weight.shape[2] // 2, x.shape[1:]
    wide = np.pad(x.astype(np.float64), ((0, 0), (reach, reach), (reach, reach)))
    out = np.zeros((len(weight), height, width)) + bias[:, None, None]
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            out += np.tensordot(
                weight[:, :, i, j].astype(np.float64), wide[:, i : i + height, j : j + width], 1
            )
    return out


def run(library, x, weight, bias, method, relu=False, skip=None, shuffle=1):
    """Return the output as CHW; the array it is written to is full of NaN before."""
    height, width = x.shape[1:]
    convolution = Convolution(library, weight, bias, shuffle, method)
    y = np.full((height * shuffle, width * shuffle, library.padded(convolution.n_out)), np.nan, np.float32)
    convolution.run(nhwc(library, x), y, relu, None if skip is None else nhwc(library, skip))
    assert np.isfinite(y).all()
    assert not y[..., convolution.n_out :].any() or skip is not None
    out = np.empty((convolution.n_out, height * shuffle, width * shuffle), np.float32)
    library.to_nchw(y, out)
    return out


def example(n_in, n_out, kernel_px, height, width, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n_in, height, width)).astype(np.float32)
    fan_in = n_in * kernel_px**2
    weight = generator.standard_normal((n_out, n_in, kernel_px, kernel_px)) / np.sqrt(fan_in)
    return x, weight.astype(np.float32), generator.standard_normal(n_out).astype(np.float32)


@pytest.mark.parametrize("method", [DIRECT, F23, F43], ids=["direct", "F23", "F43"])
@pytest.mark.parametrize(
    ("n_in", "n_out"), [(3, 64), (64, 3), (16, 24), (64, 64), (70, 100), (256, 40), (1, 1)]
)
def test_it_equals_sums_in_float64(library, n_in, n_out, method):
    for height, width in SIZES:
        x, weight, bias = example(n_in, n_out, 3, height, width)
        wanted = convolve(x, weight, bias)
        error = np.abs(run(library, x, weight, bias, method) - wanted).max() / np.abs(wanted).max()
        assert error < LIMITS[method], (height, width)


def test_a_1x1_convolution(library):
    x, weight, bias = example(20, 9, 1, 6, 7)
    np.testing.assert_allclose(run(library, x, weight, bias, F43), convolve(x, weight, bias), atol=1e-5)


@pytest.mark.parametrize("method", [DIRECT, F23, F43])
def test_relu_comes_before_the_sum_with_the_skip(library, method):
    x, weight, bias = example(8, 24, 3, 7, 10)
    skip = np.random.default_rng(9).standard_normal((24, 7, 10)).astype(np.float32)
    wanted = np.maximum(convolve(x, weight, bias), 0) + skip
    np.testing.assert_allclose(run(library, x, weight, bias, method, True, skip), wanted, atol=1e-4)


@pytest.mark.parametrize("method", [DIRECT, F23, F43])
@pytest.mark.parametrize(("factor", "n_out"), [(2, 64), (3, 10), (2, 5), (4, 1)])
def test_a_pixel_shuffle_is_written_in_place(library, method, factor, n_out):
    x, weight, bias = example(16, n_out * factor**2, 3, 6, 7)
    rows = convolve(x, weight, bias).reshape(factor, factor, n_out, 6, 7)
    wanted = rows.transpose(2, 3, 0, 4, 1).reshape(n_out, 6 * factor, 7 * factor)
    np.testing.assert_allclose(run(library, x, weight, bias, method, shuffle=factor), wanted, atol=1e-4)


@pytest.mark.parametrize("method", [DIRECT, F23, F43])
def test_the_bits_are_those_of_one_thread(library, method):
    x, weight, bias = example(64, 96, 3, 45, 38)
    outputs = []
    for n_threads in (1, 2, 3, 7):
        library.set_threads(n_threads)
        outputs += [run(library, x, weight, bias, method) for _ in range(3)]
    library.set_threads(1)
    assert all(np.array_equal(outputs[0], output) for output in outputs[1:])


def _hash_of_child(queue):
    library = load_library()
    x, weight, bias = example(32, 32, 3, 40, 40)
    queue.put(run(library, x, weight, bias, F43).tobytes())


def test_it_works_after_a_fork():
    library = load_library()
    library.set_threads(2)
    x, weight, bias = example(32, 32, 3, 40, 40)
    here = run(library, x, weight, bias, F43).tobytes()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_hash_of_child, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == here
    child.join()
    assert run(library, x, weight, bias, F43).tobytes() == here
    library.set_threads(1)


def test_no_memory_for_weights_is_a_memory_error(library, monkeypatch):
    monkeypatch.setattr(library.c, "srk_conv_new", lambda *arguments: None)
    _, weight, bias = example(3, 3, 3, 1, 1)
    with pytest.raises(MemoryError, match="no memory for the weights"):
        Convolution(library, weight, bias)


def test_the_peak_counts_operations():
    library = load_library()
    assert library.peak(1) > 0
    assert library.speed_of_convolution(8, 8, 16, rounds=1) > 0


def test_the_floating_point_environment_stays_as_it_was():
    """Flush-to-zero, which a careless compiler flag would set, loses the smallest numbers of the whole process."""
    load_library()
    smallest = np.float32(1e-45)
    assert smallest / np.float32(1) > 0
    assert ctypes.c_float(1e-45).value > 0
