"""Two recipes, and the text of a refusal."""

import pytest

from srtrain.errors import RecipeError
from srtrain.recipe import Benchmark, Data, Epochs, Optim, Recipe, Spec, Train, standard_hooks


@pytest.fixture(scope="session")
def full():
    """A recipe in which almost every field differs from its default."""
    return Recipe(
        name="full",
        scale=3,
        model=Spec("edsr", n_resblocks=2, rgb_mean=(0.1, 0.2, 0.3), block="residual", res_scale=0.1),
        data=Data(
            root="some/folder",
            train=Spec("embedded", names=("coffee",)),
            gt_patch_px=48,
            augment=False,
            hflip=False,
            vflip=False,
            rot90=False,
            degrade=(Spec("blur", sigma_px=(0.5, 2.0)), Spec("jpeg", quality=(40, 90))),
            cache_dir="fast/disk",
        ),
        train=Train(
            epochs=2.5,
            steps_per_epoch=7,
            log_every=Epochs(0.5),
            mode="pynative",
            threads=2,
            accumulate=4,
            recompute=True,
            sink_steps=5,
            compile_cache="graphs",
        ),
        optim=Optim(
            optimizer=Spec("sgd", momentum=0.9, nesterov=True),
            lr=3e-4,
            schedule=Spec("milestones", at=(10, 20), gamma=0.1, warmup=Epochs(1)),
            clip_norm=0.5,
            skip_above=5.0,
        ),
        loss=Spec("charbonnier", epsilon=0.1),
        init=Spec("truncated_normal", sigma=0.01),
        init_from="runs/other",
        benchmarks={
            "a": Benchmark(Spec("embedded", names=("chelsea",)), protocol="div2k_rgb", psnr=30.5, ssim=0.9),
            "b": Benchmark(Spec("embedded")),
        },
        hooks=standard_hooks(
            ema=Spec("ema", decay=0.99), pictures=None, nested=Spec("x", table={"k": (1, {"l": None})})
        ),
        plugins=("one", "two.py"),
        seed=5,
        run_dir="elsewhere",
    )


@pytest.fixture(scope="session")
def small():
    """A short recipe."""
    return Recipe(
        name="small",
        scale=2,
        model=Spec("edsr", n_feats=64),
        data=Data(train=Spec("embedded"), gt_patch_px=48),
        train=Train(steps=100),
        benchmarks={"chelsea": Benchmark(Spec("embedded", names=("chelsea",)))},
    )


@pytest.fixture(scope="session")
def refusal():
    """Call something and return the text of the RecipeError that it raises."""

    def refusal(call, *args):
        with pytest.raises(RecipeError) as caught:
            call(*args)
        return str(caught.value)

    return refusal
