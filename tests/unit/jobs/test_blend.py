"""``srtrain blend``: weights between two networks of one architecture, and what cannot be blended."""

import numpy as np
import pytest

from srtrain.cli.main import main
from srtrain.weights.read import read_weights


@pytest.fixture
def two(checkpoint, tiny, tmp_path):
    """Return two run folders of one network with different weights."""
    return tuple(
        (checkpoint(**tiny, seed=seed).parent.parent.rename(tmp_path / name))
        for name, seed in (("a", 1), ("b", 2))
    )


def blend(*words):
    return main(["blend", *map(str, words)])


@pytest.mark.parametrize("target", ["c", "c.safetensors", "c.npz"])
def test_each_weight_lies_between(two, tmp_path, target, capsys):
    a, b = two
    assert blend(a, b, "--at", 0.3, "--to", tmp_path / target) == 0
    assert f"0.7 · {a} + 0.3 · {b}" in capsys.readouterr().out
    first, second, between = (read_weights(path).tensors for path in (a, b, tmp_path / target))
    assert list(between) == list(first)
    for name, value in between.items():
        wanted = 0.7 * first[name].astype(np.float64) + 0.3 * second[name]
        np.testing.assert_allclose(value, wanted, atol=1e-7)
    assert any(np.abs(first[name] - second[name]).max() > 0.01 for name in first)


@pytest.mark.parametrize(("at", "same_as"), [(0, 0), (1, 1)])
def test_the_ends_are_the_networks_themselves(two, tmp_path, at, same_as):
    assert blend(*two, "--at", at, "--to", tmp_path / "c") == 0
    found, wanted = read_weights(tmp_path / "c").tensors, read_weights(two[same_as]).tensors
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize(
    ("model", "args", "told"),
    [
        ("edsr", {"n_resblocks": 2, "n_feats": 12, "res_scale": 0.1}, "n_feats: 6 and 12"),
        ("edsr", {"n_resblocks": 2, "n_feats": 6, "res_scale": 0.1, "scale": 3}, "scale: 2 and 3"),
        ("rdn", {"n_blocks": 1, "n_convs": 1, "growth": 8, "n_feats": 8}, "model: 'edsr' and 'rdn'"),
    ],
)
def test_other_architectures_are_refused(checkpoint, two, tmp_path, capsys, model, args, told):
    assert blend(two[0], checkpoint(model, **args), "--at", 0.5, "--to", tmp_path / "c") == 2
    said = capsys.readouterr().err
    assert "are different networks" in said
    assert told in said
    assert not (tmp_path / "c").exists()


def test_mistakes_of_the_command_line(two, tmp_path, capsys):
    for words, told in (
        (("--at", 1.5, "--to", tmp_path / "c"), "--at 1.5 is not between 0"),
        (("--at", -0.1, "--to", tmp_path / "c"), "--at -0.1 is not between 0"),
        (("--at", "nan", "--to", tmp_path / "c"), "--at nan is not between 0"),
        (("--at", 0.5, "--to", two[0]), "holds files that no conversion wrote"),
    ):
        assert blend(*two, *words) == 2
        assert told in capsys.readouterr().err
    assert blend(tmp_path / "nowhere", two[1], "--at", 0.5, "--to", tmp_path / "c") == 2
    assert "nowhere" in capsys.readouterr().err
