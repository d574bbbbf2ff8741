"""Trainers like a run's own, around other networks: what an architecture search trains its candidates with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from srtrain.trainer.hook import Hook
from srtrain.trainer.trainer import Trainer


@dataclass(frozen=True)
class TrainerFactory:
    """Makes a fresh network, optimizer and schedule from a recipe, with some of its model's arguments changed.

    The pictures, their order and the seed are the recipe's and the same for all; on several ranks each trainer is this
    rank's alone, and sees whole batches.

    Attributes:
        build: takes the arguments to change, and hooks beside the one of the learning rate.
        scale: enlargement factor.
        digest: two factories with one digest train a network to the same weights, as far as the recipe decides.
    """

    build: Callable[[dict[str, Any], Sequence[Hook]], Trainer]
    scale: int
    digest: str
