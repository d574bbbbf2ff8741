"""Weights of EDSR-PyTorch: our network computes the same as theirs, which is written here in NumPy."""

import os
import pickle
import re
import subprocess
import sys
import zipfile

import mindspore as ms
import numpy as np
import pytest
import safetensors.numpy

from srtrain.errors import CheckpointError
from srtrain.models.blocks import DIV2K_MEAN
from srtrain.models.edsr import EDSR
from srtrain.weights import edsr_pytorch, tensor_file, torch_file
from srtrain.weights.read import build_model, read_weights

STAGES = {1: (), 2: (2,), 3: (3,), 4: (2, 2)}


def their_weights(scale=2, n_blocks=2, n_feats=4, kernel_px=3, mean=None, seed=1, upsampler_px=None):
    """Random weights under the names of EDSR-PyTorch."""
    rng = np.random.default_rng(seed)
    shapes = {"head.0": (n_feats, 3)}
    for block in range(n_blocks):
        shapes |= {f"body.{block}.body.0": (n_feats, n_feats), f"body.{block}.body.2": (n_feats, n_feats)}
    shapes[f"body.{n_blocks}"] = (n_feats, n_feats)
    shapes |= {f"tail.0.{2 * i}": (r * r * n_feats, n_feats) for i, r in enumerate(STAGES[scale])}
    shapes["tail.1"] = (3, n_feats)
    weights = {}
    for name, (n_out, n_in) in shapes.items():
        k = kernel_px
        weights[f"{name}.weight"] = rng.normal(0, 0.3, (n_out, n_in, k, k)).astype(np.float32)
        weights[f"{name}.bias"] = rng.normal(0, 0.3, n_out).astype(np.float32)
    if mean is not None:
        eye = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
        weights |= {"sub_mean.weight": eye, "sub_mean.bias": -np.float32(mean)}
        weights |= {"add_mean.weight": eye, "add_mean.bias": np.float32(mean)}
    return weights


def in_words_of_basicsr(weights):
    renamed = {}
    for name, tensor in weights.items():
        layer, part = name.rsplit(".", 1)
        words = layer.split(".")
        own = {"head.0": "conv_first", "tail.1": "conv_last"}.get(layer)
        if own is None and words[0] == "tail":
            own = f"upsample.{words[2]}"
        if own is None:
            own = (
                f"body.{words[1]}.{'conv1' if words[-1] == '0' else 'conv2'}"
                if len(words) == 4
                else "conv_after_body"
            )
        renamed[f"{own}.{part}"] = tensor
    return renamed


def their_output(weights, lq, scale, res_scale=1.0, rgb_range=255):
    """EDSR-PyTorch's forward pass in float64: CHW in [0, rgb_range]."""
    w = {name: tensor.astype(np.float64) for name, tensor in weights.items()}
    n_blocks = sum(name.endswith(".body.0.weight") for name in w)

    def conv(x, name):
        kernel, bias = w[f"{name}.weight"], w[f"{name}.bias"]
        k = kernel.shape[2]
        padded = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(1, 2))
        return np.einsum("ihwyx,oiyx->ohw", windows, kernel) + bias[:, None, None]

    def shuffle(x, r):
        c, h, width = x.shape
        out = np.zeros((c // r**2, h * r, width * r))
        for channel in range(c // r**2):
            for i in range(r):
                for j in range(r):
                    out[channel, i::r, j::r] = x[channel * r * r + i * r + j]
        return out

    x = conv(lq, "sub_mean") if "sub_mean.bias" in w else lq
    x = head = conv(x, "head.0")
    for block in range(n_blocks):
        inner = np.maximum(conv(x, f"body.{block}.body.0"), 0)
        x = x + res_scale * conv(inner, f"body.{block}.body.2")
    x = head + conv(x, f"body.{n_blocks}")
    for index, r in enumerate(STAGES[scale]):
        x = shuffle(conv(x, f"tail.0.{2 * index}"), r)
    x = conv(x, "tail.1")
    return conv(x, "add_mean") if "add_mean.bias" in w else x


LQ = np.random.default_rng(3).uniform(0, 255, (3, 5, 6))


def our_output(tensors, about):
    model = EDSR(about["scale"], **about["model_args"])
    own = model.parameters_dict()
    assert {n: tuple(p.shape) for n, p in own.items()} == {n: t.shape for n, t in tensors.items()}
    ms.load_param_into_net(model, {n: ms.Parameter(ms.Tensor(t)) for n, t in tensors.items()})
    return model(ms.Tensor(LQ[None].astype(np.float32))).asnumpy()[0]


def save(file, weights):
    if file.suffix == ".npz":
        np.savez(file, **weights)
    elif file.suffix == ".safetensors":
        safetensors.numpy.save_file(weights, file)
    else:
        torch_file.write(file, weights, "{}")
        with_note_removed(file)
    return file


def with_note_removed(file):
    """Convert a .pt file of ours into one of EDSR-PyTorch."""
    with zipfile.ZipFile(file) as archive:
        records = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in records.items():
            if not name.endswith(".json"):
                archive.writestr(name, data)


MEAN = tuple(255 * np.float32(DIV2K_MEAN))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".npz", ".safetensors"])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_our_network_computes_what_theirs_does(pynative, tmp_path, scale, suffix):
    weights = their_weights(scale, mean=MEAN)
    tensors, about = edsr_pytorch.read(save(tmp_path / f"a{suffix}", weights))
    wanted = their_output(weights, LQ, scale)
    np.testing.assert_allclose(our_output(tensors, about), wanted, rtol=1e-4, atol=1e-2)
    args = {"n_resblocks": 2, "n_feats": 4, "kernel_px": 3, "res_scale": 1.0, "rgb_mean": list(DIV2K_MEAN)}
    assert about["model"] == "edsr"
    assert about["scale"] == scale
    assert about["model_args"] == args
    assert about["origin"]["mean"] == "add_mean of the file, for white = 255"


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_basicsr(pynative, tmp_path, scale):
    """BasicSR subtracts the same mean, which is not in its files."""
    file = save(tmp_path / "a.npz", in_words_of_basicsr(their_weights(scale)))
    tensors, about = edsr_pytorch.read(file)
    wanted = their_output(their_weights(scale, mean=MEAN), LQ, scale)
    np.testing.assert_allclose(our_output(tensors, about), wanted, rtol=1e-4, atol=1e-2)
    assert about["origin"]["names"] == "BasicSR"
    assert about["origin"]["mean"] == "BasicSR's, which is not in the file"


def test_no_mean_a_larger_kernel_and_a_res_scale_that_is_given(pynative, tmp_path):
    weights = their_weights(n_blocks=1, kernel_px=5)
    tensors, about = edsr_pytorch.read(save(tmp_path / "a.npz", weights), res_scale=0.25)
    wanted = their_output(weights, LQ, 2, res_scale=0.25)
    np.testing.assert_allclose(our_output(tensors, about), wanted, rtol=1e-4, atol=1e-2)
    assert about["model_args"]["rgb_mean"] == [0, 0, 0]
    assert about["model_args"]["kernel_px"] == 5
    assert about["origin"]["res_scale"] == "given"


def test_a_network_of_pictures_in_0_to_1(pynative, tmp_path):
    """EDSR-PyTorch's --rgb_range 1."""
    weights = their_weights(mean=DIV2K_MEAN)
    tensors, about = edsr_pytorch.read(save(tmp_path / "a.npz", weights))
    wanted = 255 * their_output(weights, LQ / 255, 2)
    np.testing.assert_allclose(our_output(tensors, about), wanted, rtol=1e-4, atol=1e-2)
    assert about["model_args"]["rgb_mean"] == list(DIV2K_MEAN)
    assert about["origin"]["mean"] == "add_mean of the file, for white = 1"


@pytest.mark.parametrize("rgb_range", [1, 255])
@pytest.mark.parametrize("undone", [False, True])
def test_a_network_with_rgb_std(pynative, tmp_path, rgb_range, undone):
    """EDSR-PyTorch divides by rgb_std before and after the network; a corrected version multiplies after it."""
    mean, deviation = rgb_range * np.float32(DIV2K_MEAN), np.float32([0.5, 2.0, 4.0])
    weights = their_weights() | {
        "sub_mean.weight": np.diag(1 / deviation).reshape(3, 3, 1, 1),
        "sub_mean.bias": -mean / deviation,
        "add_mean.weight": np.diag(deviation if undone else 1 / deviation).reshape(3, 3, 1, 1),
        "add_mean.bias": mean if undone else mean / deviation,
    }
    tensors, about = edsr_pytorch.read(save(tmp_path / "a.npz", weights))
    wanted = 255 / rgb_range * their_output(weights, LQ * rgb_range / 255, 2)
    np.testing.assert_allclose(our_output(tensors, about), wanted, rtol=1e-4, atol=1e-2)
    assert "rgb_std" not in about["model_args"]
    assert about["origin"]["mean"] == f"add_mean of the file, for white = {rgb_range}, rgb_std 0.5, 2, 4"


@pytest.mark.parametrize("mean", [None, (0.4,)])
def test_a_grey_network(pynative, tmp_path, mean):
    grey = their_weights()
    grey["head.0.weight"], grey["tail.1.weight"] = grey["head.0.weight"][:, :1], grey["tail.1.weight"][:1]
    grey["tail.1.bias"] = grey["tail.1.bias"][:1]
    tensors, about = edsr_pytorch.read(save(tmp_path / "a.npz", grey))
    assert (about["model_args"]["n_colors"], about["model_args"]["rgb_mean"]) == (1, [0])
    about["model_args"]["rgb_mean"] = mean or [0]
    edsr_pytorch.write(tmp_path / "b.safetensors", tensors, about)
    theirs = safetensors.numpy.load_file(tmp_path / "b.safetensors")
    again, said = edsr_pytorch.read(tmp_path / "b.safetensors")
    assert said["model_args"]["n_colors"] == 1
    model = EDSR(2, **about["model_args"])
    ms.load_param_into_net(model, {n: ms.Parameter(ms.Tensor(t)) for n, t in again.items()})
    lq = LQ[:1]
    got = model(ms.Tensor(lq[None].astype(np.float32))).asnumpy()[0]
    np.testing.assert_allclose(got, their_output(theirs, lq, 2), rtol=1e-4, atol=1e-2)


def test_a_mean_of_zero_says_nothing_of_the_range(tmp_path):
    weights = their_weights(mean=(0, 0, 0))
    tensors, about = edsr_pytorch.read(save(tmp_path / "a.npz", weights))
    assert about["model_args"]["rgb_mean"] == [0, 0, 0]
    np.testing.assert_array_equal(tensors["tail.weight"], weights["tail.1.weight"])


@pytest.mark.parametrize(("n_feats", "res_scale"), [(255, 1.0), (256, 0.1)])
def test_res_scale_is_assumed_from_the_features(tmp_path, n_feats, res_scale):
    weights = their_weights(n_blocks=1, n_feats=n_feats, kernel_px=1)
    _, about = edsr_pytorch.read(save(tmp_path / "a.npz", weights))
    assert about["model_args"]["res_scale"] == res_scale
    assert about["origin"]["res_scale"] == "assumed from the number of features"


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model.", "model.module."])
def test_prefixes(tmp_path, prefix):
    weights = their_weights()
    wanted, _ = edsr_pytorch.read(save(tmp_path / "a.npz", weights))
    got, _ = edsr_pytorch.read(save(tmp_path / "b.npz", {prefix + n: t for n, t in weights.items()}))
    assert list(got) == list(wanted)
    for name in wanted:
        np.testing.assert_array_equal(got[name], wanted[name])


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_become_float32(tmp_path, dtype):
    weights = {name: tensor.astype(dtype) for name, tensor in their_weights().items()}
    tensors, _ = edsr_pytorch.read(save(tmp_path / "a.npz", weights))
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(tensors["head.weight"], weights["head.0.weight"].astype(np.float32))


@pytest.mark.parametrize("suffix", [".pt", ".npz", ".safetensors"])
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("mean", [DIV2K_MEAN, (0.0, 0.0, 0.0), (0.1234567891, 1 / 3, 0.5)])
def test_written_and_read_again_is_the_same(new_model, tmp_path, weights_of, suffix, scale, mean):
    tensors = weights_of(new_model(scale))
    args = {"n_resblocks": 1, "n_feats": 4, "rgb_mean": list(mean), "res_scale": 0.7}
    about = {"model": "edsr", "scale": scale, "model_args": args, "recipe_hash": "größer"}
    file = tmp_path / f"a{suffix}"
    edsr_pytorch.write(file, tensors, about)
    got, said = edsr_pytorch.read(file)
    assert said == about
    assert set(got) == set(tensors)
    for name in tensors:
        np.testing.assert_array_equal(got[name], tensors[name])
    assert edsr_pytorch.read(file, res_scale=0.3)[1]["model_args"] == {**args, "res_scale": 0.3}


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_written_file_computes_in_their_network_what_ours_does(
    pynative, new_model, weights_of, tmp_path, scale
):
    tensors = weights_of(new_model(scale))
    args = {"n_resblocks": 1, "n_feats": 4, "rgb_mean": DIV2K_MEAN}
    about = {"model": "edsr", "scale": scale, "model_args": args}
    edsr_pytorch.write(tmp_path / "a.safetensors", tensors, about)
    theirs = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    assert set(theirs) == set(their_weights(scale, n_blocks=1, mean=MEAN))
    wanted = our_output(tensors, about)
    np.testing.assert_allclose(their_output(theirs, LQ, scale), wanted, rtol=1e-4, atol=1e-2)


def refusal(file):
    with pytest.raises(CheckpointError) as caught:
        edsr_pytorch.read(file)
    assert repr(str(file)) in str(caught.value)
    return str(caught.value)


def changed(**changes):
    weights = their_weights(mean=MEAN) | {name.replace("__", "."): value for name, value in changes.items()}
    return {name: value for name, value in weights.items() if value is not None}


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [
        ({"conv.weight": np.zeros(3)}, "holds no EDSR: .* but conv.weight"),
        ({}, r"holds no EDSR: .* but \(none\)"),
        (changed(body__0__body__2__bias=None), "like an EDSR, but without body.0.body.2.bias"),
        (changed(body__1__body__1__weight=np.ones(4)), "with body.1.body.1.weight, which EDSR has not"),
        (
            changed(tail__0__4__weight=np.ones((16, 4, 3, 3))),
            r"scale that is unknown here.*\[4.0, 4.0\]|with tail",
        ),
        (changed(tail__0__0__weight=np.ones((100, 4, 3, 3))), r"scale that is unknown here.*\[25.0\]"),
        (
            changed(tail__0__0__weight=np.ones((16, 4, 5, 5))),
            r"upsampler.0.weight is \(16, 4, 5, 5\) instead of",
        ),
        (changed(head__0__weight=np.float32(1)), r"its first convolution has the shape \(\)\."),
        (
            changed(head__0__weight=np.ones((4, 1, 3, 3))),
            r"head.weight is \(4, 1, 3, 3\) instead of \(4, 3, 3, 3\)",
        ),
        (changed(tail__1__bias=np.ones(3, int)), "no fractions: tail.1.bias"),
        (
            changed(sub_mean__bias=None),
            "instead of sub_mean.weight, sub_mean.bias, add_mean.weight, add_mean.bias",
        ),
        (changed(sub_mean__bias=np.ones(3)), "not taken off and put back"),
        (
            changed(sub_mean__weight=4 * np.eye(3).reshape(3, 3, 1, 1)),
            r"put back as in EDSR.*the weights \[4.0, 4.0, 4.0\] and \[1.0, 1.0, 1.0\] \(1 / rgb_std\)",
        ),
        (changed(sub_mean__weight=np.ones((3, 3, 1, 1))), "put back as in EDSR"),
    ],
)
def test_another_network(tmp_path, weights, wanted):
    file = tmp_path / "a.npz"
    np.savez(file, **weights)
    assert re.search(wanted, refusal(file)), refusal(file)


class RunsCode:
    def __reduce__(self):
        return os.system, ("touch PROOF",)


def test_files_that_are_not_what_their_suffix_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for suffix in (".npz", ".safetensors", ".pt"):
        file = tmp_path / f"a{suffix}"
        assert "there is no file" in refusal(file)
        for data in (b"", b"nonsense", b"PK\x03\x04", pickle.dumps(RunsCode())):
            file.write_bytes(data)
            assert "not a" in refusal(file) or "cut short" in refusal(file) or "asks for" in refusal(file)
        save(file, their_weights())
        file.write_bytes(file.read_bytes()[:-100])
        assert "cut short" in refusal(file)
    np.savez("b.npz", a=np.array([RunsCode()], object))
    assert "plain numbers" in refusal(tmp_path / "b.npz")
    assert "'.onnx'" in refusal(tmp_path / "a.onnx")
    assert "Did you mean '.safetensors'?" in refusal(tmp_path / "a.safetensor")
    assert not (tmp_path / "PROOF").exists()


ABOUT = {"model": "edsr", "scale": 2, "model_args": {"n_resblocks": 2, "n_feats": 4, "rgb_mean": [0, 0, 0]}}


@pytest.mark.parametrize(
    ("about", "wanted"),
    [
        (ABOUT | {"scale": 3}, "its scale is 3, and its tensors are of 2"),
        (ABOUT | {"model": "esrn"}, "its model is 'esrn', and its tensors are of 'edsr'"),
        (ABOUT | {"model_args": {"n_resblocks": 16}}, "its n_resblocks is 16, and its tensors are of 2"),
        ([1], "is not what srtrain writes"),
        (ABOUT | {"model_args": 3}, "is not what srtrain writes"),
    ],
)
def test_a_file_that_contradicts_itself(tmp_path, about, wanted):
    tensor_file.write(tmp_path / "a.safetensors", their_weights(), about)
    assert wanted in refusal(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "about",
    [
        ABOUT | {"model": "esrn"},
        ABOUT | {"model_args": {"rgb_mean": [0, 0, 0], "block": "other"}},
        ABOUT | {"model_args": {}},
    ],
)
def test_what_cannot_be_written(tmp_path, new_model, weights_of, about):
    with pytest.raises(CheckpointError, match="names are for the model 'edsr' with blocks 'residual'"):
        edsr_pytorch.write(tmp_path / "a.pt", weights_of(new_model()), about)
    tensors = weights_of(new_model())
    del tensors["upsampler.0.bias"]
    with pytest.raises(CheckpointError, match=r"upsampler\.0\.bias missing or unknown in an EDSR x2"):
        edsr_pytorch.write(tmp_path / "a.pt", tensors, ABOUT)
    assert not list(tmp_path.iterdir())


def test_a_file_opens_as_a_network_of_ours(pynative, tmp_path):
    weights = their_weights(n_blocks=1, mean=MEAN)
    model = build_model(read_weights(save(tmp_path / "a.pt", weights)))
    wanted = their_output(weights, LQ, 2)
    got = model(ms.Tensor(LQ[None].astype(np.float32))).asnumpy()[0]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-2)


def test_neither_pytorch_nor_mindspore_is_needed(tmp_path):
    file = save(tmp_path / "a.pt", their_weights())
    code = (
        "import sys; sys.modules.update(torch=None, mindspore=None); from pathlib import Path; "
        "from srtrain.weights import edsr_pytorch as e; tensors, about = e.read(Path(sys.argv[1])); "
        "e.write(Path(sys.argv[1]), tensors, about); print(len(tensors))"
    )
    done = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, check=True)
    assert done.stdout == "16\n"
