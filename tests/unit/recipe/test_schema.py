"""The values a recipe is made of."""

import dataclasses

import pytest

from srtrain.recipe import Benchmark, Epochs, Recipe, Spec, standard_hooks


def test_a_spec_prints_as_it_is_written():
    spec = Spec("edsr", n_feats=64, at=(1, 2))
    assert repr(spec) == "Spec('edsr', n_feats=64, at=(1, 2))"
    assert repr(Spec("l1")) == "Spec('l1')"


def test_specs_are_equal_when_they_say_the_same():
    assert Spec("edsr", n_feats=64) == Spec("edsr", n_feats=64)
    assert hash(Spec("edsr", n_feats=64)) == hash(Spec("edsr", n_feats=64))
    assert Spec("edsr", n_feats=64) != Spec("edsr", n_feats=32)
    assert Spec("edsr") != Spec("esrn")
    assert Spec("edsr") != "edsr"


def test_an_argument_may_be_called_name():
    assert Spec("embedded", name="x").args == {"name": "x"}


def test_epochs_print_as_on_a_command_line():
    assert [str(Epochs(n)) for n in (20, 0.5, 1.0)] == ["20ep", "0.5ep", "1ep"]


def test_standard_hooks_are_replaced_added_and_removed_by_name():
    hooks = standard_hooks(checkpoint=Spec("checkpoint", every=5), ema=Spec("ema"), pictures=None)
    assert hooks["checkpoint"] == Spec("checkpoint", every=5)
    assert hooks["ema"] == Spec("ema")
    assert hooks["pictures"] is None
    assert list(hooks) == [*standard_hooks(), "ema"]


def test_recipes_share_no_mutable_default():
    one, other = (Recipe(name=n, scale=2, model=Spec("edsr")) for n in "ab")
    assert one.hooks is not other.hooks
    assert one.benchmarks is not other.benchmarks


def test_a_recipe_cannot_be_changed_in_place():
    recipe = Recipe(name="x", scale=2, model=Spec("edsr"), benchmarks={"b": Benchmark(Spec("embedded"))})
    for part, name in ((recipe, "scale"), (recipe.data, "root"), (recipe.benchmarks["b"], "protocol")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, name, 1)
