"""Shared by the recipes for tasks that keep the size of the picture: EDSR and ESRN at scale 1, without an upsampler."""

from __future__ import annotations

import dataclasses

from srtrain.recipe import Benchmark, Recipe, Spec

NOISE = (Spec("noise", sigma=25.0),)
MOSAIC = (Spec("mosaic"),)


def restoration(recipe: Recipe, name: str, degrade: tuple[Spec, ...]) -> Recipe:
    """Return a recipe at scale 1 that undoes degradations; benchmarks have the same ones, with fixed noise.

    They are scored in RGB (``basicsr_rgb``), since both tasks are about all colours.
    """
    benchmarks: dict[str, Benchmark | None] = {
        "div2k_valid": Benchmark(Spec("div2k_valid"), protocol="basicsr_rgb", degrade=degrade)
    }
    data = dataclasses.replace(recipe.data, degrade=degrade)
    return dataclasses.replace(recipe, name=name, data=data, benchmarks=benchmarks)
