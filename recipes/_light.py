"""Shared by the recipes of the plugin ``light``: what the trainings of both papers have in common."""

from __future__ import annotations

from collections.abc import Mapping

from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train, standard_hooks
from srtrain.recipe.smoke import twin


def light(
    name: str, scale: int, model: str, lr: float, gt_patch_px: int, batch_size: int, psnr: Mapping[str, float]
) -> Recipe:
    """Return a training on DIV2K with L1 and Adam, whose rate is halved every 2e5 updates.

    1e6 updates in all are our reading.

    Args:
        name: name of the recipe.
        scale: 2, 3 or 4.
        model: a network of the plugin.
        lr: learning rate of the paper.
        gt_patch_px: patch of the ground truth.
        batch_size: patches in a batch.
        psnr: what the authors' weights score on each set, in dB under ``paper_y``.
    """
    return Recipe(
        name=name,
        scale=scale,
        model=Spec(model),
        data=Data(
            train=Spec("div2k_train"), gt_patch_px=gt_patch_px, batch_size=batch_size, cache="mmap", workers=2
        ),
        train=Train(steps=1_000_000, log_every=100),
        optim=Optim(
            Spec("adam", beta1=0.9, beta2=0.999), lr=lr, schedule=Spec("halve_every", period=200_000)
        ),
        benchmarks={key: Benchmark(Spec(key), protocol="paper_y", psnr=value) for key, value in psnr.items()},
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=1000, keep=5), evaluate=Spec("evaluate", every=10_000)
        ),
        plugins=("light",),
    )


def small(recipe: Recipe) -> Recipe:
    """Return the one-minute version of a recipe, with 1 block and 16 features."""
    return twin(recipe, n_blocks=1, n_feats=16)
