"""Shared by the EDSR recipes: the networks, and the trainings of the paper and of the model zoo."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from srtrain.recipe import Benchmark, Data, Epochs, Optim, Recipe, Spec, Train, standard_hooks
from srtrain.recipe.smoke import twin

BASELINE = Spec("edsr", n_resblocks=16, n_feats=64)
MULTI_BASELINE = Spec("mdsr", n_resblocks=16, n_feats=64, scales=(2, 3, 4))
MULTI = Spec("mdsr", n_resblocks=80, n_feats=64, scales=(2, 3, 4))
FULL = Spec("edsr", n_resblocks=32, n_feats=256, res_scale=0.1)

ADAM = Spec("adam", beta1=0.9, beta2=0.999)


def paper(name: str, scale: int, model: Spec, psnr: float | None = None, init_from: str = "") -> Recipe:
    """Return the paper's training: 300 000 updates on DIV2K 1-800, L1, Adam, 1e-4 halved every 200 000 (section 4.2).

    Args:
        name: name of the recipe.
        scale: 2, 3 or 4.
        model: ``BASELINE`` or ``FULL``.
        psnr: PSNR in table 1 on DIV2K 801-900, in dB under ``div2k_rgb``.
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
        benchmarks={"div2k_valid": Benchmark(Spec("div2k_valid"), protocol="div2k_rgb", psnr=psnr)},
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=1000, keep=5),
            evaluate=Spec("evaluate", every=Epochs(200)),
            self_ensemble=Spec("self_ensemble_evaluate", every=100_000),
        ),
    )


def multi(name: str, model: Spec, psnr: Mapping[int, float]) -> Recipe:
    """Return the paper's training of a network for x2, x3 and x4 (section 4.2): each batch has one of the scales.

    Args:
        name: name of the recipe.
        model: ``MULTI_BASELINE`` or ``MULTI``.
        psnr: PSNR on DIV2K 801-900 by scale, in dB under ``div2k_rgb``.
    """
    benchmarks: dict[str, Benchmark | None] = {
        f"div2k_valid_x{scale}": Benchmark(Spec("div2k_valid"), "div2k_rgb", psnr=expected, scale=scale)
        for scale, expected in psnr.items()
    }
    return dataclasses.replace(paper(name, scale=2, model=model), benchmarks=benchmarks)


def plus(name: str, recipe: Recipe) -> Recipe:
    """Return the training of a row with a plus: the self-ensemble is evaluated, and it chooses the best checkpoint."""
    hooks = {
        **recipe.hooks,
        "evaluate": Spec("evaluate", every=10_000, self_ensemble=True),
        "self_ensemble": None,
    }
    unknown = {
        key: None if benchmark is None else dataclasses.replace(benchmark, psnr=None)
        for key, benchmark in recipe.benchmarks.items()
    }  # the expected PSNR of a recipe is that of the plain network
    return dataclasses.replace(recipe, name=name, hooks=hooks, benchmarks=unknown)


def model_zoo(name: str, scale: int, psnr: float, init_from: str = "") -> Recipe:
    """Return the training of MindSpore's model zoo: 6000 epochs of 50 updates, patch 192 px, O3, loss scale 1000.

    Unlike in the model zoo's script, the learning rate really is halved at epoch 4000, the pictures are shuffled and
    the output is rounded. See docs/from_model_zoo.md.

    Args:
        name: name of the recipe.
        scale: 2, 3 or 4.
        psnr: PSNR of the paper on DIV2K 801-900, in dB under ``div2k_rgb``; the model zoo gives only self-ensemble.
        init_from: a run folder; training starts from its weights.
    """
    return Recipe(
        name=name,
        scale=scale,
        model=FULL,
        data=Data(train=Spec("div2k_train"), gt_patch_px=192, batch_size=16, cache="mmap", workers=2),
        train=Train(epochs=6000, steps_per_epoch=50, log_every=Epochs(1)),
        optim=Optim(ADAM, lr=1e-4, schedule=Spec("milestones", at=(Epochs(4000),), gamma=0.5)),
        init=Spec("truncated_normal"),
        init_from=init_from,
        precision=Spec("O3", loss_scale=1000.0),
        device=Spec("ascend"),
        benchmarks={"div2k_valid": Benchmark(Spec("div2k_valid"), protocol="div2k_rgb", psnr=psnr)},
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
