"""The plain values that travel between the evolution, the trainer's hook, the journal and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DIRECTIONS = {"psnr": 1, "parameters": -1, "multi_adds": -1, "latency": -1}
"""The objectives there are: 1 where more is better. In dB, numbers, numbers for 1280 x 720, seconds."""


@dataclass(frozen=True)
class Genome:
    """A row of genes, each a kind of block that is switched on or off.

    Attributes:
        on: whether each gene is a block of the network.
        kinds: each gene's kind, as its place in ``Space.kinds``.
    """

    on: tuple[bool, ...]
    kinds: tuple[int, ...]


@dataclass(frozen=True)
class Individual:
    """A candidate.

    Attributes:
        number: counts all individuals of a search from 0.
        generation: counts generations from 0.
        blocks: the names of its blocks, in order: what the network is built from, and what its fitness is kept under.
        origin: ``random``, ``mutation`` or ``crossover``.
        parents: numbers of the individuals it was made from, the one it has most from first.
    """

    number: int
    generation: int
    genome: Genome
    blocks: tuple[str, ...]
    origin: str
    parents: tuple[int, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of training a candidate.

    Attributes:
        objectives: values by the names of ``DIRECTIONS``; empty when it failed.
        reason: why it failed; empty when it did not.
        drops: for each of its blocks, the PSNR in dB lost when it is bypassed; ``None`` where its output has another
            width than its input, or where nobody asked.
        seconds: wall time by part: ``build``, ``compile``, ``train``, ``evaluate``, ``ablate``.
    """

    objectives: Mapping[str, float]
    reason: str = ""
    drops: tuple[float | None, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether there is nothing to score."""
        return bool(self.reason)


@dataclass(frozen=True)
class Generation:
    """One finished generation.

    Attributes:
        members: the individuals it brought, with what came of each.
        elites: numbers of the individuals that are parents of the next, best first; they may be older.
        credit: for each kind of block, by name, how much more often mutation draws it than without credit;
            1 for all under ``uniform``.
        hypervolume: of everything found so far, in units of the first generation's spread; ``None`` with one objective.
    """

    members: tuple[tuple[Individual, Outcome], ...]
    elites: tuple[int, ...]
    credit: Mapping[str, float]
    hypervolume: float | None = None
