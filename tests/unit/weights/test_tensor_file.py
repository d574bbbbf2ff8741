"""The three file formats by suffix: a written file can be read, and any damage gives the same kind of error."""

import json
import random
import zipfile

import numpy as np
import pytest

from srtrain.errors import CheckpointError, SrtrainError
from srtrain.weights import tensor_file

TENSORS = {
    "a.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "b": np.float32([1, -2]),
    "c": np.float32(3),
}
TENSORS["turned"] = TENSORS["a.weight"].T
ABOUT = {"model": "edsr", "model_args": {"rgb_mean": [0.1, 1 / 3, 0.0]}, "words": "größer"}


@pytest.mark.parametrize("suffix", tensor_file.SUFFIXES)
def test_what_is_written_is_read(tmp_path, suffix):
    file = tmp_path / "new" / f"a{suffix}"
    tensor_file.write(file, TENSORS, ABOUT)
    tensor_file.write(file, TENSORS, ABOUT)  # over the first
    read = tensor_file.read(file)
    assert (read.about, read.entry) == (ABOUT, "")
    assert set(read.tensors) == set(TENSORS)
    for name, wanted in TENSORS.items():
        np.testing.assert_array_equal(read.tensors[name], wanted)
        assert read.tensors[name].shape == np.shape(wanted)
    assert list(file.parent.iterdir()) == [file]


def test_what_others_wrote_says_nothing_about_itself(tmp_path):
    np.savez(tmp_path / "a.npz", **TENSORS)
    assert tensor_file.read(tmp_path / "a.npz").about is None


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "a").write_text("a file")
    with pytest.raises(SrtrainError, match=r"a\.npz' cannot be written"):
        tensor_file.write(tmp_path / "a" / "a.npz", TENSORS, ABOUT)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", "packed.npz"])
def test_no_damage_ends_in_anything_but_one_error(tmp_path, suffix):
    rng = random.Random(3)
    file = tmp_path / f"a{suffix}"
    if suffix == "packed.npz":
        rich = np.random.default_rng(1).integers(0, 9, 3000).astype(np.float32)
        np.savez_compressed(file, rich=rich, **TENSORS)
    else:
        tensor_file.write(file, TENSORS, ABOUT)
    data = file.read_bytes()
    n_refused = 0
    for _ in range(1500):
        position = rng.randrange(len(data))
        damaged = data[:position] + bytes([rng.randrange(256)]) + data[position + 1 :]
        file.write_bytes(damaged if rng.random() < 0.8 else data[:position])
        try:
            tensor_file.read(file)
        except CheckpointError as error:
            assert repr(str(file)) in str(error)  # noqa: PT017 - most damage is refused, and some goes unseen
            n_refused += 1
    assert n_refused > 300


def test_an_npz_whose_sizes_lie(tmp_path):
    file = tmp_path / "a.npz"
    np.savez(file, a=np.zeros(3, np.float32))
    data = file.read_bytes()
    file.write_bytes(data.replace(b"'shape': (3,), }          ", b"'shape': (3000000000,), } "))
    with pytest.raises(CheckpointError, match="or it is cut short"):
        tensor_file.read(file)


def write_safetensors(file, dtype, data):
    header = json.dumps({"a": {"dtype": dtype, "shape": [2, 1], "data_offsets": [0, len(data)]}}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return file


def test_a_safetensors_of_bfloat16(tmp_path):
    file = write_safetensors(tmp_path / "a.safetensors", "BF16", b"\x80\x3f\x20\xc0")
    read = tensor_file.read(file).tensors["a"]
    np.testing.assert_array_equal(read, np.float32([[1], [-2.5]]))
    assert read.dtype == np.float32


def test_a_safetensors_of_no_fractions(tmp_path):
    file = write_safetensors(tmp_path / "a.safetensors", "U8", b"ab")
    with pytest.raises(
        CheckpointError, match="file of F64, F32, F16, BF16, or it is cut short: 'a' is of type U8"
    ):
        tensor_file.read(file)


def test_an_npz_that_would_fill_the_memory_is_refused(tmp_path, cramped):
    np.savez_compressed(tmp_path / "a.npz", **{f"t{k}": np.zeros(4_000_000, np.float64) for k in range(4)})
    assert (tmp_path / "a.npz").stat().st_size < 200_000
    with (
        cramped(20_000_000),
        pytest.raises(
            CheckpointError, match=r"a\.npz' .*would become 128,\d+,\d+ bytes, more than 100 times as"
        ),
    ):
        tensor_file.read(tmp_path / "a.npz")


def test_what_is_no_npz_of_arrays(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(
        CheckpointError, match=r"a\.npz' is not an \.npz.*: it is an \.npy file, which holds one array"
    ):
        tensor_file.read(tmp_path / "a.npz")
    for name in ("", ".npy", "folder/", "notes.txt"):
        with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
            archive.writestr(zipfile.ZipInfo(name), b"x")
        with pytest.raises(
            CheckpointError, match=r"b\.npz' is not an \.npz.*: it holds '.*', which is no name of an arr"
        ):
            tensor_file.read(tmp_path / "b.npz")
