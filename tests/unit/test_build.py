"""The checks of a recipe against everything that is registered."""

from srtrain import config
from srtrain.recipe import Data, Epochs, Optim, Recipe, Spec, Train

SMALL = Recipe(
    name="s",
    scale=2,
    model=Spec("edsr"),
    data=Data(train=Spec("embedded"), gt_patch_px=48),
    train=Train(steps=9),
)


def test_milestones_may_be_in_epochs():
    from srtrain import build

    schedule = Spec("milestones", at=(Epochs(4000),))
    build.check(config.override(Recipe(**{**vars(SMALL), "optim": Optim(schedule=schedule)}), []))
