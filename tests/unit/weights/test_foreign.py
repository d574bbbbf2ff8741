"""Weights of other frameworks in any network: names, prefixes, channels before a pixel shuffle, and ranges."""

from typing import ClassVar

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from srtrain.device.mode import as_function
from srtrain.errors import CheckpointError
from srtrain.models import MODELS
from srtrain.models.blocks import MeanShift, PixelShuffle, conv
from srtrain.weights import foreign, tensor_file
from srtrain.weights.network import Network
from srtrain.weights.read import build_model, read_weights

RNG = np.random.default_rng(5)
LQ = RNG.uniform(0, 255, (1, 3, 6, 5)).astype(np.float32)


class Toy(nn.Cell):
    """Blocks of a convolution, batch norm and PReLU, a skip, and one pixel shuffle."""

    torch_names: ClassVar = {
        r"^blocks\.(\d+)\.": lambda match: f"stage{int(match[1]) + 1}.",
        r"^head\.": "first.0.",
    }
    torch_ignored = (r"helper\.",)
    torch_range = "0-1"

    def __init__(self, scale, n_blocks=2, n_feats=4):
        super().__init__()
        self.head = conv(3, n_feats)
        self.blocks = nn.CellList(
            [
                nn.SequentialCell(conv(n_feats, n_feats), nn.BatchNorm2d(n_feats), nn.PReLU(n_feats))
                for _ in range(n_blocks)
            ]
        )
        self.up = nn.SequentialCell(conv(n_feats, 3 * scale**2), PixelShuffle(scale))

    def construct(self, lq):
        x = y = self.head(lq)
        for block in self.blocks:
            y = block(y)
        return self.up(x + y)


class Loose(nn.Cell):
    """A pixel shuffle that does not stand behind its convolution in a sequence."""

    def __init__(self, scale, declares=False):
        super().__init__()
        self.body = conv(3, 3 * scale**2)
        self.rearrange = PixelShuffle(scale)
        if declares:
            self.before_shuffle = {"body": scale}

    def construct(self, lq):
        return self.rearrange(self.body(lq))


class Odd(nn.Cell):
    """A network whose result depends on where 100 is."""

    torch_range = "0-1"

    def __init__(self, scale):
        super().__init__()
        self.head = conv(3, 4)
        self.tail = nn.SequentialCell(conv(4, 3 * scale**2), PixelShuffle(scale))

    def construct(self, lq):
        return self.tail(self.head(ops.relu(lq - 0.4)))


@pytest.fixture(autouse=True)
def _networks(monkeypatch):
    MODELS.names()
    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))
    monkeypatch.setattr(MODELS, "_from_run", dict(MODELS._from_run))
    for cell in (Toy, Loose, Odd):
        MODELS.register(cell.__name__.lower(), from_run=("scale",))(cell)


def random(*shape):
    return RNG.uniform(-0.5, 0.5, shape).astype(np.float32)


def theirs(scale=2, n_blocks=2, n_feats=4):
    """Return weights as the authors' own network has them."""
    found = {"first.0.weight": random(n_feats, 3, 3, 3), "first.0.bias": random(n_feats)}
    for block in range(1, n_blocks + 1):
        found |= {
            f"stage{block}.0.weight": random(n_feats, n_feats, 3, 3),
            f"stage{block}.0.bias": random(n_feats),
            f"stage{block}.1.weight": random(n_feats),
            f"stage{block}.1.bias": random(n_feats),
            f"stage{block}.1.running_mean": random(n_feats),
            f"stage{block}.1.running_var": random(n_feats) + 1,
            f"stage{block}.1.num_batches_tracked": np.array(7),
            f"stage{block}.2.weight": random(n_feats),
        }
    return found | {"up.0.weight": random(3 * scale**2, n_feats, 3, 3), "up.0.bias": random(3 * scale**2)}


def convolved(x, weights, name):
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, weights[f"{name}.weight"]) + weights[
        f"{name}.bias"
    ].reshape(1, -1, 1, 1)


def shuffled(x, scale):
    """PyTorch's pixel shuffle: scale² channels that lie beside each other become one."""
    n, c, h, w = x.shape
    x = x.reshape(n, c // scale**2, scale, scale, h, w).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(n, c // scale**2, h * scale, w * scale)


def their_output(weights, scale=2, n_blocks=2):
    """Compute in NumPy what the authors' network returns for pictures in [0, 1], for [0, 255]."""
    head = y = convolved(LQ.astype(np.float64) / 255, weights, "first.0")
    for block in range(1, n_blocks + 1):
        y = convolved(y, weights, f"stage{block}.0")
        scaled = {part: weights[f"stage{block}.1.{part}"].reshape(1, -1, 1, 1) for part in ("weight", "bias")}
        mean, var = (
            weights[f"stage{block}.1.running_{part}"].reshape(1, -1, 1, 1) for part in ("mean", "var")
        )
        y = (y - mean) / np.sqrt(var + 1e-5) * scaled["weight"] + scaled["bias"]
        y = np.where(y > 0, y, y * weights[f"stage{block}.2.weight"].reshape(1, -1, 1, 1))
    return 255 * shuffled(convolved(head + y, weights, "up.0"), scale)


def saved(path, tensors, about=None):
    """Write a file without a word of srtrain's."""
    if path.suffix == ".npz":
        np.savez(path, **tensors)
    else:
        tensor_file.write(path, {name: np.asarray(t, np.float32) for name, t in tensors.items()}, about or {})
    return path


def our_output(weights):
    return as_function(build_model(weights).set_train(False))(LQ)


def differs(weights, wanted):
    return np.abs(our_output(weights) - wanted).max()


@pytest.mark.parametrize("prefix", ["", "module.", "params_ema.", "netG._orig_mod.module."])
@pytest.mark.parametrize("scale", [2, 3])
def test_a_network_computes_what_its_authors_network_computes(prefix, scale, tmp_path):
    weights = theirs(scale)
    path = saved(tmp_path / "toy.npz", {prefix + name: tensor for name, tensor in weights.items()})
    read = read_weights(path, network=Network("toy"))
    assert read.about["scale"] == scale  # found by the shapes
    assert differs(read, their_output(weights, scale)) < 1e-3
    assert read.about["origin"]["range"] == "0-1"
    assert "num_batches_tracked" in read.about["origin"]["not used"]


def test_of_two_copies_the_averaged_one_is_read(tmp_path):
    averaged, others = theirs(), theirs()
    both = {**{f"net.{k}": t for k, t in others.items()}, **{f"net_ema.{k}": t for k, t in averaged.items()}}
    read = read_weights(saved(tmp_path / "toy.npz", both), network=Network("toy"))
    assert differs(read, their_output(averaged)) < 1e-3
    assert "net.first.0.weight" in read.about["origin"]["not used"]


@pytest.mark.parametrize(
    ("change", "network", "said"),
    [
        (lambda t: t.pop("first.0.bias"), {}, r"missing: head\.bias \(in files 'first\.0\.bias'\) of shape \(4,\)"),
        (lambda t: t.update({"extra.weight": random(2, 2)}), {}, r"unknown here: extra\.weight of shape \(2, 2\)"),
        (lambda t: t.update({"helper.weight": random(2)}), {}, ""),
        (
            lambda t: t.update({"up.0.bias": random(5)}),
            {},
            r"of another shape: up\.0\.bias is \(5,\) in the file and \(12,\) here",
        ),
        (lambda t: None, {"n_blocks": 1}, r"unknown here: stage2\.0\.weight"),
        (lambda t: None, {"n_blocks": 3}, r"missing: blocks\.2\.0\.weight \(in files 'stage3\.0\.weight'\)"),
        (lambda t: None, {"n_feats": 8}, r"toy x2 \(n_feats=8\): 1 Parameter of 18 match"),
        (lambda t: None, {"depth": 3}, "the network 'toy' for the weights in .* takes no argument 'depth'"),
        (
            lambda t: t.update({"up.0.bias": np.zeros(12, np.int64)}),
            {},
            r"no fractions: up\.0\.bias is of type int64",
        ),
    ],
)  # fmt: skip
def test_what_does_not_match_is_listed(change, network, said, tmp_path):
    tensors = theirs()
    change(tensors)
    path = saved(tmp_path / "toy.npz", tensors)
    if not said:
        read_weights(path, network=Network("toy"))
        return
    with pytest.raises(CheckpointError, match=said):
        read_weights(path, network=Network("toy", network, (2,)))


def test_another_scale_than_the_one_that_is_named_is_refused(tmp_path):
    path = saved(tmp_path / "toy.npz", theirs(3))
    with pytest.raises(CheckpointError, match=r"toy x2.*\n.*up\.0\.weight is \(27, 4, 3, 3\) in the file"):
        read_weights(path, network=Network("toy", scales=(2,)))


def test_a_file_of_an_unknown_network_says_how_to_name_it(tmp_path):
    path = saved(tmp_path / "toy.npz", theirs())
    with pytest.raises(CheckpointError, match=r"holds no EDSR.*first\.0\.weight.*--model NAME --scale N"):
        read_weights(path)


def test_a_pixel_shuffle_of_unknown_channels_is_refused(tmp_path):
    weights = {"body.weight": random(12, 3, 3, 3), "body.bias": random(12)}
    path = saved(tmp_path / "loose.npz", weights)
    with pytest.raises(
        CheckpointError, match=r"Loose does not say which .* \(rearrange\).*self\.before_shuffle"
    ):
        read_weights(path, network=Network("loose"))
    read = read_weights(path, network=Network("loose", {"declares": True}))
    assert differs(read, shuffled(convolved(LQ, weights, "body"), 2)) < 1e-2


def test_a_range_that_cannot_be_converted_is_refused(tmp_path):
    weights = {
        "head.weight": random(4, 3, 3, 3),
        "head.bias": random(4),
        "tail.0.weight": random(12, 4, 3, 3),
        "tail.0.bias": random(12),
    }
    path = saved(tmp_path / "odd.npz", weights)
    with pytest.raises(CheckpointError, match=r"from values in 0-1 to 0-255: Odd computes something else"):
        read_weights(path, network=Network("odd"))
    with pytest.raises(CheckpointError, match=r"the range '-1-1'\. Allowed: 0-255 and 0-1"):
        read_weights(path, network=Network("odd", value_range="-1-1"))
    assert read_weights(path, network=Network("odd", value_range="0-255")).about["origin"]["range"] == "0-255"


@pytest.mark.parametrize("form", ["weight_norm", "parametrizations"])
def test_weight_norm_is_computed(form, tmp_path):
    weights = theirs()
    direction, length = random(4, 3, 3, 3), random(4, 1, 1, 1)
    norms = np.array([np.linalg.norm(kernel.ravel()) for kernel in direction]).reshape(4, 1, 1, 1)
    stored = dict(weights)
    del stored["first.0.weight"]
    names = {
        "weight_norm": ("weight_g", "weight_v"),
        "parametrizations": [f"parametrizations.weight.original{n}" for n in (0, 1)],
    }[form]
    stored |= {f"first.0.{names[0]}": length, f"first.0.{names[1]}": direction}
    weights["first.0.weight"] = direction * length / norms
    read = read_weights(saved(tmp_path / "toy.npz", stored), network=Network("toy"))
    assert differs(read, their_output(weights)) < 1e-3


def test_a_safetensors_file_of_mindspore_has_our_names_and_channels(tmp_path):
    model = Toy(2).set_train(False)
    ms.save_checkpoint(model, str(tmp_path / "toy.safetensors"), format="safetensors")
    read = read_weights(tmp_path / "toy.safetensors", network=Network("toy"))
    assert read.about["origin"] == {"file": "toy.safetensors", "names": "srtrain", "range": "0-255"}
    assert differs(read, as_function(model)(LQ)) == 0


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_a_file_with_our_names_alone_is_recognised(suffix, tmp_path, new_model):
    """A network of this package has these names in no other software."""
    import safetensors.numpy

    model = new_model()
    tensors = {name: p.asnumpy() for name, p in model.parameters_dict().items()}
    path = tmp_path / f"edsr{suffix}"
    if suffix == ".npz":
        np.savez(path, **tensors)
    else:
        safetensors.numpy.save_file(tensors, path)
    read = read_weights(path, network=Network("edsr", {"n_resblocks": 1, "n_feats": 4}))
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(read.tensors[name], tensor)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".npz"])
@pytest.mark.parametrize("names", [foreign.OURS, foreign.THEIRS])
def test_a_written_file_comes_back_and_has_the_names_that_were_asked_for(names, suffix, tmp_path):
    original = theirs()
    read = read_weights(saved(tmp_path / "toy.npz", original), network=Network("toy"))
    foreign.write(tmp_path / f"back{suffix}", read.tensors, read.about, names)
    again = read_weights(tmp_path / f"back{suffix}")  # without a word about the network
    assert {key: again.about[key] for key in ("model", "scale")} == {"model": "toy", "scale": 2}
    for name, tensor in read.tensors.items():
        np.testing.assert_allclose(again.tensors[name], tensor, rtol=1e-6)
    stored = tensor_file.read(tmp_path / f"back{suffix}").tensors
    if names == foreign.THEIRS:
        for name, tensor in stored.items():
            np.testing.assert_allclose(tensor, original[name], rtol=1e-6)
    else:
        assert set(stored) == set(read.tensors)


def test_mean_colours_follow_the_range(tmp_path, new_model):
    """EDSR with a mean, whose weights were trained on [0, 1]."""
    model = new_model()
    tensors = {name: p.asnumpy() for name, p in model.parameters_dict().items()}
    tensors["head.weight"] = tensors["head.weight"] * 255
    tensors["tail.weight"], tensors["tail.bias"] = tensors["tail.weight"] / 255, tensors["tail.bias"] / 255
    np.savez(tmp_path / "edsr.npz", **tensors)
    args = {"n_resblocks": 1, "n_feats": 4}
    read = read_weights(tmp_path / "edsr.npz", network=Network("edsr", args, value_range="0-1"))
    assert isinstance(model.subtract_mean, MeanShift)
    assert differs(read, as_function(model)(LQ)) < 1e-2


def test_a_description_without_a_network_is_damaged(tmp_path):
    path = saved(tmp_path / "toy.safetensors", {"a": np.zeros(1)}, {"names": "srtrain", "scale": 2})
    with pytest.raises(CheckpointError, match=r"beside the tensors of .* is damaged: no model"):
        read_weights(path)
