"""Make trainers for the candidates of an architecture search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from srtrain.trainer.hook import Hook
from srtrain.trainer.trainer import Trainer


@dataclass(frozen=True)
class TrainerFactory:
    """Makes a trainer with a new network, optimizer and schedule from a recipe, with some model arguments changed.

    All trainers use the pictures, their order and the seed of the recipe. On several ranks, a trainer belongs to one
    rank: it sees whole batches and does not average gradients.

    Attributes:
        build: takes the model arguments to change, and more hooks; the trainer always has the learning-rate hook.
        scale: enlargement factor.
        digest: two factories with the same digest train a network to the same weights.
    """

    build: Callable[[dict[str, Any], Sequence[Hook]], Trainer]
    scale: int
    digest: str
