"""Shared by the EDSR recipes: the networks, and the trainings of the paper and of the model zoo."""

from __future__ import annotations

import dataclasses

from srtrain.metrics.published import SELF_ENSEMBLE, published
from srtrain.recipe import Benchmark, Data, Epochs, Optim, Recipe, Spec, Train, standard_hooks
from srtrain.recipe.smoke import twin

BASELINE = Spec("edsr", n_resblocks=16, n_feats=64)
MULTI_BASELINE = Spec("mdsr", n_resblocks=16, n_feats=64, scales=(2, 3, 4))
MULTI = Spec("mdsr", n_resblocks=80, n_feats=64, scales=(2, 3, 4))
FULL = Spec("edsr", n_resblocks=32, n_feats=256, res_scale=0.1)

ZOO = Spec("edsr", **FULL.args, zoo_normalisation=True)

ADAM = Spec("adam", beta1=0.9, beta2=0.999)

PAPER_ROWS = {
    BASELINE: ("EDSR-baseline", "EDSR-baseline"),
    FULL: ("EDSR (full)", "EDSR+"),
    MULTI_BASELINE: ("MDSR-baseline", "MDSR-baseline"),
    MULTI: ("MDSR", "MDSR"),
}
"""The names of a network's published scores: plain, and with the self-ensemble."""

ZOO_ROWS = ("EDSR (full)", "EDSR (full)")

TEST_SETS = ("set5", "set14", "b100", "urban100")


def benchmarks(
    rows: tuple[str, str], scale: int, one_of_several: bool = False
) -> dict[str, Benchmark | None]:
    """Return DIV2K 801-900 for the training, and the test sets for ``srtrain verify`` alone, with published scores.

    Args:
        rows: names of the published scores, plain and with the self-ensemble.
        scale: 2, 3 or 4.
        one_of_several: name each set after the scale too, for a network for several scales.
    """
    found: dict[str, Benchmark | None] = {}
    for data, protocol in (("div2k_valid", "div2k_rgb"), *((name, "paper_y") for name in TEST_SETS)):
        plain, ensemble = (
            published(row, scale, data, protocol, method)
            for row, method in zip(rows, ("plain", SELF_ENSEMBLE), strict=True)
        )
        watched = data == "div2k_valid"
        if watched or plain or ensemble:
            found[f"{data}_x{scale}" if one_of_several else data] = Benchmark(
                Spec(data),
                protocol,
                psnr=plain.psnr if plain else None,
                ssim=plain.ssim if plain else None,
                scale=scale if one_of_several else None,
                ensemble_psnr=ensemble.psnr if ensemble else None,
                ensemble_ssim=ensemble.ssim if ensemble else None,
                in_training=watched,
            )
    return found


def paper(name: str, scale: int, model: Spec, init_from: str = "") -> Recipe:
    """Return the paper's training: 300 000 updates on DIV2K 1-800, L1, Adam, 1e-4 halved every 200 000 (section 4.2).

    Args:
        name: name of the recipe.
        scale: 2, 3 or 4.
        model: ``BASELINE`` or ``FULL``.
        init_from: a run folder; training starts from its weights.
    """
    return Recipe(
        name=name,
        scale=scale,
        model=model,
        # The input patch has 48 px at every scale.
        data=Data(train=Spec("div2k_train"), gt_patch_px=48 * scale, batch_size=16, cache="mmap", workers=2),
        train=Train(steps=300_000, log_every=100),
        optim=Optim(ADAM, lr=1e-4, schedule=Spec("halve_every", period=200_000)),
        init_from=init_from,
        benchmarks=benchmarks(PAPER_ROWS.get(model, ("", "")), scale),
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=1000, keep=5),
            evaluate=Spec("evaluate", every=Epochs(200)),
            self_ensemble=Spec("self_ensemble_evaluate", every=100_000),
        ),
    )


def multi(name: str, model: Spec) -> Recipe:
    """Return the paper's training of a network for x2, x3 and x4 (section 4.2): each batch has one of the scales.

    Args:
        name: name of the recipe.
        model: ``MULTI_BASELINE`` or ``MULTI``.
    """
    sets = [benchmarks(PAPER_ROWS[model], scale, one_of_several=True) for scale in model.args["scales"]]
    every = {key: benchmark for found in sets for key, benchmark in found.items()}
    return dataclasses.replace(paper(name, scale=2, model=model), benchmarks=every)


def plus(name: str, recipe: Recipe) -> Recipe:
    """Return the training of a row with a plus: the self-ensemble is evaluated, and it chooses the best checkpoint."""
    hooks = {
        **recipe.hooks,
        "evaluate": Spec("evaluate", every=10_000, self_ensemble=True),
        "self_ensemble": None,
    }
    ensemble = {
        key: benchmark and dataclasses.replace(benchmark, psnr=None, ssim=None)
        for key, benchmark in recipe.benchmarks.items()
    }
    return dataclasses.replace(recipe, name=name, hooks=hooks, benchmarks=ensemble)


def model_zoo(name: str, scale: int, init_from: str = "") -> Recipe:
    """Return the training of MindSpore's model zoo: 6000 epochs of 50 updates, patch 192 px, O3, loss scale 1000.

    The network normalises to [0, 1], so Adam moves its head and tail as it does there. Unlike in the model zoo's
    script, the learning rate really is halved at epoch 4000, the pictures are shuffled and the output is rounded. See
    docs/from_model_zoo.md.

    Args:
        name: name of the recipe.
        scale: 2, 3 or 4.
        init_from: a run folder; training starts from its weights.
    """
    return Recipe(
        name=name,
        scale=scale,
        model=ZOO,
        data=Data(train=Spec("div2k_train"), gt_patch_px=192, batch_size=16, cache="mmap", workers=2),
        train=Train(epochs=6000, steps_per_epoch=50, log_every=Epochs(1)),
        optim=Optim(ADAM, lr=1e-4, schedule=Spec("milestones", at=(Epochs(4000),), gamma=0.5)),
        init=Spec("truncated_normal"),
        init_from=init_from,
        precision=Spec("O3", loss_scale=1000.0),
        device=Spec("ascend"),
        benchmarks=benchmarks(ZOO_ROWS, scale),
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=Epochs(100), keep=60),
            evaluate=Spec("evaluate", every=Epochs(20)),
            self_ensemble=Spec("self_ensemble_evaluate", every=Epochs(1000)),
        ),
        plugins=("ascend",),
        seed=2021,
    )


def small(recipe: Recipe) -> Recipe:
    """Return the one-minute version of a recipe, with 2 blocks and 16 features."""
    return twin(recipe, n_resblocks=2, n_feats=16)


def small_zoo(recipe: Recipe) -> Recipe:
    """Return the one-minute version of a recipe on [0, 1], where Adam moves the tail 255 times as fast.

    Its learning rate is therefore lower than that of other twins: 2e-3 diverges, 5e-4 learns.
    """
    small_one = small(recipe)
    return dataclasses.replace(small_one, optim=dataclasses.replace(small_one.optim, lr=5e-4))
