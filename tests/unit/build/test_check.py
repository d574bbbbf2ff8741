"""Names, arguments and values of a recipe; a class takes from the run what it declares, and nothing else."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from srtrain.build.check import OFFERED, check_batch_size, check_names, check_run
from srtrain.build.trainer import build_trainer
from srtrain.device.backend import Backend
from srtrain.errors import RecipeError
from srtrain.hooks import HOOKS, Hook
from srtrain.recipe import Benchmark, Data, Epochs, Optim, Recipe, Spec, Train
from srtrain.trainer.log import Log

UNSET = object()


class Takes(Hook):
    """A user's hook whose parameters have the names of what a run offers."""

    def __init__(self, seed: Any = UNSET, scale: Any = UNSET, schedule: Any = UNSET) -> None:
        self.taken = (seed, scale, schedule)


class Needs(Hook):
    """The same without defaults."""

    def __init__(self, seed: int) -> None:
        self.seed = seed


class Misspelt(Hook):
    """Asks for something that no run offers."""

    def __init__(self, shedule: Any) -> None:
        self.schedule = shedule


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    HOOKS.register("takes_silently")(Takes)
    HOOKS.register("takes_declared", from_run=("seed", "scale", "schedule"))(Takes)
    HOOKS.register("needs_silently")(Needs)
    HOOKS.register("needs_declared", from_run=("seed",))(Needs)
    HOOKS.register("misspelt", from_run=("shedule",))(Misspelt)
    yield
    for name in ("takes_silently", "takes_declared", "needs_silently", "needs_declared", "misspelt"):
        del HOOKS._entries[name], HOOKS._from_run[name]


def recipe(**hooks: Spec) -> Recipe:
    return Recipe(
        name="s",
        scale=2,
        model=Spec("edsr", n_resblocks=1, n_feats=4),
        data=Data(train=Spec("embedded"), gt_patch_px=48),
        train=Train(steps=9),
        seed=77,
        hooks=hooks,
    )


@pytest.fixture
def built(tmp_path) -> Callable[[Spec], Any]:
    """Build the trainer of a recipe with one hook, and return that hook."""

    def built(spec: Spec) -> Any:
        wanted = recipe(mine=spec)
        check_names(wanted)
        return build_trainer(wanted, tmp_path, Backend(), Log()).hooks[0]

    return built


def test_a_hook_that_declares_nothing_keeps_its_defaults(built) -> None:
    assert built(Spec("takes_silently")).taken == (UNSET, UNSET, UNSET)


def test_a_hook_gets_what_it_declares(built) -> None:
    seed, scale, schedule = built(Spec("takes_declared")).taken
    assert (seed, scale) == (77, 2)
    assert schedule(0) == 1.0


def test_a_value_in_the_recipe_wins(built) -> None:
    assert built(Spec("takes_declared", seed=5, scale=3)).taken[:2] == (5, 3)


def test_a_parameter_without_a_default_has_to_be_declared_or_given() -> None:
    check_names(recipe(mine=Spec("needs_declared"), other=Spec("needs_silently", seed=1)))
    with pytest.raises(RecipeError) as caught:
        check_names(recipe(mine=Spec("needs_silently")))
    assert str(caught.value) == (
        "hooks.mine: hook 'needs_silently' needs the argument seed, which the recipe does not give. A class that "
        "expects a value from the run declares it: register(…, from_run=('seed',)). "
        "'srtrain explain needs_silently' describes them."
    )


def test_what_no_run_offers_is_refused_with_a_suggestion() -> None:
    with pytest.raises(RecipeError) as caught:
        check_names(recipe(mine=Spec("misspelt")))
    assert str(caught.value) == (
        "hooks.mine: the hook 'misspelt' asks for 'shedule' from the run. Did you mean 'schedule'? A run offers: "
        f"{', '.join(sorted(OFFERED))}."
    )


def test_what_the_class_has_no_parameter_for_is_refused_when_it_is_registered() -> None:
    with pytest.raises(RecipeError) as caught:
        HOOKS.register("sees", from_run=("sed",))(Needs)
    pattern = r"the hook 'sees' asks for 'sed' from the run, but \S+test_check\.py:\d+ has no such parameter\. Did you "
    assert re.match(pattern + r"mean 'seed'\? It has: seed\.$", str(caught.value))


def test_milestones_may_be_in_epochs() -> None:
    schedule = Spec("milestones", at=(Epochs(4000),))
    check_names(dataclasses.replace(recipe(), optim=Optim(schedule=schedule)))


def test_all_mistakes_are_reported_together() -> None:
    wrong = dataclasses.replace(
        recipe(),
        model=Spec("edsr", n_feat=8),
        loss=Spec("l2"),
        benchmarks={"set5": Benchmark(Spec("embedded"), protocol="paper_z")},
        optim=Optim(optimizer=Spec("adamm")),
    )
    with pytest.raises(RecipeError) as caught:
        check_names(wrong)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "model",
        "loss",
        "benchmarks.set5.protocol",
        "optim.optimizer",
    ]
    assert "Did you mean 'n_feats'" in lines[0]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            Spec("evaluate", every=0),
            r"hooks\.mine\.every = 0 must be 1 or more steps; hooks\.mine=None removes it",
        ),
        (Spec("evaluate", every=Epochs(-1)), r"hooks\.mine\.every = .* must be above 0 epochs"),
        (Spec("evaluate", every="often"), r"hooks\.mine\.every"),
    ],
)
def test_a_value_that_is_not_possible_is_named(spec: Spec, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_names(recipe(mine=spec))


def test_a_batch_that_the_ranks_cannot_share_is_refused() -> None:
    wanted = dataclasses.replace(recipe(), train=Train(steps=1, accumulate=3))
    message = r"data\.batch_size = 16 cannot be divided into train\.accumulate = 3 .* on 2 ranks\. Use a multiple of 6"
    with pytest.raises(RecipeError, match=message):
        check_batch_size(wanted, 2)
    check_batch_size(recipe(), 2)


def test_a_mistake_in_what_a_run_recorded_is_told_with_the_file(tmp_path) -> None:
    good, wrong = recipe(), dataclasses.replace(recipe(), model=Spec("edsr", n_feats="many"))
    mistake = "model: model.n_feats = 'many' is a str, but must be int"
    with pytest.raises(
        RecipeError, match=rf"recipe\.json' is damaged, or from another version of srtrain: {mistake}"
    ):
        check_run(wrong, wrong, tmp_path)
    for original, source in ((good, tmp_path), (wrong, tmp_path / "mine.py")):  # the user's own mistake
        with pytest.raises(RecipeError, match=rf"^{mistake}"):
            check_run(wrong, original, source)


def test_the_sets_of_a_mix_are_checked_under_their_keys() -> None:
    sets = (Spec("folder", root="x"), Spec("flickr"), Spec("folder", rot="x"))
    mixed = Data(train=Spec("mix", sets=sets), gt_patch_px=48)
    with pytest.raises(RecipeError) as caught:
        check_names(dataclasses.replace(recipe(), data=mixed))
    first, second = str(caught.value).splitlines()
    assert first.startswith("data.train.sets[1]: there is no data set named 'flickr'")
    assert second.startswith("data.train.sets[2]: data set 'folder'")
