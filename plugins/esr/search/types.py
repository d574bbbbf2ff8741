"""Plain values that the evolution, the hook, the journal and the report exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DIRECTIONS = {"psnr": 1, "parameters": -1, "multi_adds": -1, "latency": -1}
"""The objectives, and 1 where a larger value is better, else -1.

Units: dB; a count; a count for an output of 1280 x 720 px; seconds.
"""


@dataclass(frozen=True)
class Genome:
    """A sequence of genes. Each gene is a kind of block, and is switched on or off.

    Attributes:
        on: for each gene, whether the network has this block.
        kinds: for each gene, the index of its kind in ``Space.kinds``.
    """

    on: tuple[bool, ...]
    kinds: tuple[int, ...]


@dataclass(frozen=True)
class Individual:
    """A candidate network.

    Attributes:
        number: number of the individual within the search, from 0.
        generation: number of the generation, from 0.
        blocks: names of its blocks, in order. The network is built from them, and its outcome is stored under them.
        origin: ``random``, ``mutation`` or ``crossover``.
        parents: numbers of its parents. The first parent contributed most of the genes.
    """

    number: int
    generation: int
    genome: Genome
    blocks: tuple[str, ...]
    origin: str
    parents: tuple[int, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The result of training a candidate.

    Attributes:
        objectives: values by the names of ``DIRECTIONS``; empty if the candidate failed.
        reason: why it failed; empty if it did not fail.
        drops: for each block, the PSNR in dB that is lost when the block is bypassed. ``None`` if the widths of its
            input and output differ. Empty if it was not measured.
        seconds: wall time by part: ``build``, ``compile``, ``train``, ``evaluate``, ``ablate``.
    """

    objectives: Mapping[str, float]
    reason: str = ""
    drops: tuple[float | None, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the candidate failed, so that it has no score."""
        return bool(self.reason)


@dataclass(frozen=True)
class Generation:
    """One finished generation.

    Attributes:
        members: its individuals, with the outcome of each.
        elites: numbers of the elites after this generation, best first; they may be from older generations.
        credit: for each kind of block, by name, the probability that mutation draws it, divided by the probability
            without credit. All are 1 with ``uniform``.
        hypervolume: of all networks so far, in units of the spread of the first generation; ``None`` with one
            objective.
    """

    members: tuple[tuple[Individual, Outcome], ...]
    elites: tuple[int, ...]
    credit: Mapping[str, float]
    hypervolume: float | None = None
