"""Recipes: what a run is, as plain data."""

from srtrain.recipe.schema import (
    Benchmark,
    Data,
    Epochs,
    Optim,
    Period,
    Recipe,
    Spec,
    Train,
    standard_hooks,
)

__all__ = ["Benchmark", "Data", "Epochs", "Optim", "Period", "Recipe", "Spec", "Train", "standard_hooks"]
