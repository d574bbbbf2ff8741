"""The trainer of a recipe, and the trainers of a search's candidates."""

import pytest

from srtrain.build.trainer import build_trainer
from srtrain.device.backend import Backend
from srtrain.errors import RecipeError
from srtrain.hooks import HOOKS, Hook
from srtrain.recipe import Data, Recipe, Spec, Train
from srtrain.recipe.override import override
from srtrain.trainer.log import Log

SMALL = Recipe(
    name="s",
    scale=2,
    model=Spec("edsr"),
    data=Data(train=Spec("embedded"), gt_patch_px=48),
    train=Train(steps=9),
)


def test_a_factorys_trainers_differ_in_their_network_alone(tmp_path):
    """A search trains candidates with fresh weights and the same patches, independently of the run's ranks."""
    made = []

    @HOOKS.register("keeps_the_factory", from_run=("new_trainer",))
    class Keeps(Hook):
        def __init__(self, new_trainer):
            made.append(new_trainer)

    try:
        hooks = {"keeps": Spec("keeps_the_factory")}
        recipe = Recipe(**{**vars(SMALL), "model": Spec("edsr", n_resblocks=1, n_feats=4), "hooks": hooks})
        backend = Backend()
        backend.rank, backend.world_size = 1, 2
        recipe = override(recipe, ["data.batch_size=4", "train.log_every=7"])
        run = build_trainer(recipe, tmp_path, backend, Log())
        again = build_trainer(override(recipe, ["train.log_every=3"]), tmp_path, backend, Log())
        other = build_trainer(override(recipe, ["optim.lr=1e-3"]), tmp_path, backend, Log())
    finally:
        del HOOKS._entries["keeps_the_factory"]
    assert (run.loader.batch_size, again.step, other.step) == (4, 0, 0)
    factory, same, changed = made
    assert factory.digest == same.digest != changed.digest
    one, two = factory.build({}, []), factory.build({"n_feats": 8}, [])
    assert one.model.head.weight.shape[0] == 4
    assert two.model.head.weight.shape[0] == 8
    first, second = (trainer.loader.batch(0) for trainer in (one, two))
    assert len(first.samples) == 4  # the whole batch, though the run has two ranks
    assert (first.lq == second.lq).all()
    assert one.update.reducer is None


class FixedSizes(Backend):
    """A device that compiles networks for one size of picture."""

    def why_fixed_sizes(self):
        return "device.jit_level = 'O2' compiles a network for pictures of one size only."


def test_hooks_that_evaluate_are_refused_where_networks_are_compiled_for_one_size(tmp_path):
    model = Spec("edsr", n_resblocks=1, n_feats=4)
    hooks = {"mine": Spec("evaluate", every=3), "lr": Spec("lr")}
    recipe = Recipe(**{**vars(SMALL), "model": model, "hooks": hooks})
    with pytest.raises(
        RecipeError, match=r"^hooks\.mine evaluates pictures of many sizes: device\.jit_level = 'O2'"
    ):
        build_trainer(recipe, tmp_path, FixedSizes(), Log())
    build_trainer(override(recipe, ["hooks.mine=None"]), tmp_path, FixedSizes(), Log())


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ((), set(range(8))),
        (("data.hflip=False",), {0, 2, 4, 6}),
        (("data.vflip=False", "data.rot90=False"), {0, 1}),
        (("data.augment=False",), {0}),
    ],
)
@pytest.mark.parametrize("model", ["edsr", "mdsr"])
def test_a_run_turns_its_patches_as_the_recipe_says(tmp_path, words, seen, model):
    recipe = Recipe(**{**vars(SMALL), "hooks": {}, "model": Spec(model, n_resblocks=1, n_feats=4)})
    trainer = build_trainer(
        override(recipe, ["data.batch_size=32", "data.workers=0", *words]), tmp_path, Backend(), Log()
    )
    assert {sample.place.turn for step in range(3) for sample in trainer.loader.batch(step).samples} == seen
