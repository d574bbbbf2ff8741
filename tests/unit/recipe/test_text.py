"""A recipe as flat lines, and the differences between two recipes."""

from srtrain.recipe.override import override
from srtrain.recipe.text import differences, flatten, to_text


def test_the_text_has_one_line_for_each_key_that_an_override_takes(full):
    lines = dict(line.split(" = ", 1) for line in to_text(full).splitlines())
    assert lines["model"] == "'edsr'"
    assert lines["model.rgb_mean"] == "(0.1, 0.2, 0.3)"
    assert lines["train.log_every"] == "0.5ep"
    assert lines["hooks.pictures"] == "None"
    assert lines["benchmarks.a.data.names"] == "('chelsea',)"
    assert lines["hooks.nested.table.k"] == "(1, {'l': None})"
    assert list(lines) == list(flatten(full))
    assert differences(full, override(full, [f"{key}={value}" for key, value in lines.items()])) == {}


def test_the_text_marks_what_the_command_line_changed(small):
    changed = override(small, ["optim.lr=0.5", "hooks.ema=ema", "hooks.pictures=None"])
    marked = [line for line in to_text(changed, small).splitlines() if "#" in line]
    assert marked == [
        "optim.lr = 0.5    # command line; the recipe says 0.0001",
        "hooks.pictures = None    # command line; the recipe says 'pictures'",
        "hooks.ema = 'ema'    # command line; the recipe says None",
    ]


def test_differences_name_each_leaf_with_both_values(small):
    changed = override(small, ["model=esrn", "model.depth=3", "data.batch_size=4"])
    assert differences(small, changed) == {
        "model": ("edsr", "esrn"),
        "model.n_feats": (64, None),
        "model.depth": (None, 3),
        "data.batch_size": (16, 4),
    }
