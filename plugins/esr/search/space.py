"""What is searched: kinds of blocks, how likely each is, and which rows of them are small enough."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from srtrain.errors import RecipeError
from srtrain.models.esrn import BlockKind

from .reachable import Int64, Reachable
from .types import Genome

Float64 = NDArray[np.float64]


class BlockCosts(Protocol):
    """Where parameter counts come from; ``costs.Costs`` has them from blocks that were built."""

    @property
    def fixed(self) -> int:
        """Parameters of every network, whatever its blocks."""

    def block(self, kind: BlockKind, n_in: int) -> int:
        """Return the parameters that a block adds to a network, for an input of ``n_in`` channels."""


@dataclass(frozen=True)
class SpaceSettings:
    """The space as a recipe says it; what stands here is the authors' published configuration.

    Kinds are all combinations of a type, a number of convolutions, a growth and an output that is no less than
    the growth; a kind's probability is the product of the four, normalised. A kind of probability 0 is none.

    Attributes:
        types: of blocks, by their names in ``BLOCKS``.
        n_convs: numbers of convolutions in a block.
        growths: channels that a convolution adds; outputs are chosen from the same list.
        type_prob: how likely each type is; the sum does not matter.
        conv_prob: the same for ``n_convs``.
        growth_prob: the same for growths and outputs.
        n_feats: channels outside of the blocks, G0 in the paper.
        n_nodes: genes, so the most blocks that a network has.
        min_active: the fewest.
        min_params: the fewest parameters of a network.
        max_params: the most.

    Raises:
        RecipeError: settings that contradict each other.
    """

    types: Sequence[str] = ("S", "G", "C")
    n_convs: Sequence[int] = (4, 6, 8)
    growths: Sequence[int] = (8, 16, 24, 32)
    type_prob: Sequence[float] = (1, 1, 1)
    conv_prob: Sequence[float] = (1, 1, 1)
    growth_prob: Sequence[float] = (1, 1, 1, 1)
    n_feats: int = 32
    n_nodes: int = 20
    min_active: int = 16
    min_params: int = 315_000
    max_params: int = 325_000

    def __post_init__(self) -> None:
        for values, probabilities in (
            ("types", "type_prob"),
            ("n_convs", "conv_prob"),
            ("growths", "growth_prob"),
        ):
            self._check(values, probabilities)
        if not 1 <= self.min_active <= self.n_nodes:
            raise RecipeError(
                f"space.min_active = {self.min_active!r} blocks cannot be switched on among space.n_nodes = "
                f"{self.n_nodes!r} genes. It has to be from 1 to n_nodes."
            )
        if not 0 <= self.min_params <= self.max_params:
            raise RecipeError(
                f"space.min_params = {self.min_params!r} and space.max_params = {self.max_params!r} are no window. "
                f"The first has to be 0 or more, and at most the second."
            )

        if self.n_feats < 1:
            raise RecipeError(f"space.n_feats = {self.n_feats!r} has to be 1 channel or more.")

    def _check(self, values: str, probabilities: str) -> None:
        """Check a list of choices and their probabilities."""
        choices: Sequence[Any] = getattr(self, values)
        weights: Sequence[float] = getattr(self, probabilities)
        if not choices or len(set(choices)) < len(choices):
            raise RecipeError(f"space.{values} = {choices!r} has to name at least one choice, and each once.")
        if values != "types" and min(choices) < 1:
            raise RecipeError(f"space.{values} = {choices!r} has to be of numbers from 1.")
        if len(weights) != len(choices):
            raise RecipeError(
                f"space.{probabilities} = {weights!r} has {len(weights)} numbers for the {len(choices)} of "
                f"space.{values} = {choices!r}. Give one for each."
            )
        if not all(math.isfinite(p) and p >= 0 for p in weights) or not any(weights):
            raise RecipeError(
                f"space.{probabilities} = {weights!r} has to be of numbers from 0, one of them above 0; their sum does "
                f"not matter."
            )


@dataclass(frozen=True)
class CostTable:
    """Parameters of every kind behind every width it can meet.

    Attributes:
        cost: ``cost[k, w]`` of kind ``k`` behind width ``w``; a last row of zeros stands for no block.
        out: for each kind, the width of its output, as a column of ``cost``.
        start: the width before the first block, as a column of ``cost``.
        fixed: what every network has besides.
    """

    cost: Int64
    out: Int64
    start: int
    fixed: int

    @cached_property
    def behind(self) -> Int64:
        """``behind[j, k]``: what kind ``j`` costs right behind kind ``k``."""
        return self.cost[:, self.out]

    @cached_property
    def by_width(self) -> Int64:
        """``cost`` of the kinds alone, a row for each width."""
        return np.ascontiguousarray(self.cost[:-1].T)


class Space:
    """All networks that settings allow.

    Args:
        settings: which.
        costs: what blocks have in parameters.

    Attributes:
        kinds: of blocks; genes are places in it.
        names: of the kinds.
        prior: how likely each kind is; they sum to 1.
    """

    def __init__(self, settings: SpaceSettings, costs: BlockCosts) -> None:
        self.settings = settings
        self.costs = costs
        likely = {
            BlockKind(type_name, n_convs, growth, n_out): p_type * p_conv * p_growth * p_out
            for (type_name, p_type), (n_convs, p_conv), (growth, p_growth), (n_out, p_out) in product(
                zip(settings.types, settings.type_prob, strict=True),
                zip(settings.n_convs, settings.conv_prob, strict=True),
                zip(settings.growths, settings.growth_prob, strict=True),
                zip(settings.growths, settings.growth_prob, strict=True),
            )
            if n_out >= growth
        }
        self.kinds = tuple(kind for kind, p in likely.items() if p > 0)
        self.names = tuple(map(str, self.kinds))
        self.index = {name: k for k, name in enumerate(self.names)}
        prior = np.array([likely[kind] for kind in self.kinds], np.float64)
        self.prior: Float64 = prior / prior.sum()

    @cached_property
    def table(self) -> CostTable:
        """The costs, asked for once.

        Raises:
            UnknownNameError: a type of block that is not registered.
        """
        widths = sorted({self.settings.n_feats, *(kind.n_out for kind in self.kinds)})
        rows = [[self.costs.block(kind, n_in) for n_in in widths] for kind in self.kinds]
        return CostTable(
            cost=np.array([*rows, [0] * len(widths)], np.int64),
            out=np.array([widths.index(kind.n_out) for kind in self.kinds], np.int64),
            start=widths.index(self.settings.n_feats),
            fixed=self.costs.fixed,
        )

    @cached_property
    def _costs(self) -> list[list[int]]:
        return self.table.cost.tolist()  # plain numbers are faster one by one

    @cached_property
    def _out(self) -> list[int]:
        return self.table.out.tolist()

    @cached_property
    def reachable(self) -> Reachable:
        """The dynamic programme over all rows of blocks."""
        return Reachable(self.table.cost[:-1], self.table.out, self.settings.n_nodes)

    @property
    def lengths(self) -> range:
        """How many blocks a network may have."""
        return range(self.settings.min_active, self.settings.n_nodes + 1)

    @property
    def window(self) -> tuple[int, int]:
        """The fewest and the most parameters that the blocks of a network may have together."""
        return self.settings.min_params - self.table.fixed, self.settings.max_params - self.table.fixed

    def blocks(self, genome: Genome) -> tuple[str, ...]:
        """Return the names of the blocks that are switched on."""
        return tuple(self.names[kind] for on, kind in zip(genome.on, genome.kinds, strict=True) if on)

    def walk(self, on: Sequence[bool], kinds: Sequence[int]) -> tuple[int, list[int], list[int]]:
        """Return the parameters of a network, and for each gene the width before it and the next block's kind.

        Widths are columns of the cost table; where no block comes, the kind is its last row.
        """
        total, width, widths = self.table.fixed, self.table.start, []
        for is_on, kind in zip(on, kinds, strict=True):
            widths.append(width)
            if is_on:
                total += self._costs[kind][width]
                width = self._out[kind]
        following, next_kind = [0] * len(widths), len(self.kinds)
        for gene in reversed(range(len(widths))):
            following[gene] = next_kind
            if on[gene]:
                next_kind = kinds[gene]
        return total, widths, following

    def parameters(self, genome: Genome) -> int:
        """Return the parameters of the genome's network."""
        return self.walk(genome.on, genome.kinds)[0]

    def totals(self, on: NDArray[np.bool_], kinds: Int64) -> Int64:
        """Return the parameters of many networks at once; both arguments are (networks, genes)."""
        table, n_widths = self.table, self.table.cost.shape[1]
        # A gene that is off is one of no kind, which costs nothing and leaves the width as it is.
        rows = np.where(on, kinds, len(self.kinds)).T * n_widths
        after = np.append(np.repeat(table.out, n_widths), np.arange(n_widths))
        totals = np.full(len(on), table.fixed, np.int64)
        width = np.full(len(on), table.start, np.int64)
        for row in rows:
            place = row + width
            totals += table.cost.take(place)
            width = after.take(place)
        return totals

    def feasible(self, genome: Genome) -> bool:
        """Whether a genome has enough blocks and its network is in the window."""
        settings = self.settings
        return (
            sum(genome.on) >= settings.min_active
            and settings.min_params <= self.parameters(genome) <= settings.max_params
        )

    def networks(self) -> Iterator[tuple[str, ...]]:
        """Yield the blocks of every network of the space, each once."""
        order = list(range(len(self.kinds)))
        for n in self.lengths:
            for row in self.reachable.rows(n, self.table.start, *self.window, lambda: order):
                yield tuple(self.names[kind] for kind in row)

    def check(self) -> None:
        """Refuse a space without a network.

        Raises:
            RecipeError: with the least and the greatest number of parameters there is, and the nearest to the window.
        """
        if any(self.reachable.reaches(n, self.table.start, *self.window) for n in self.lengths):
            return
        settings, fixed = self.settings, self.table.fixed
        around = self.reachable.around(self.lengths, self.table.start, *self.window)
        least, greatest, under, over = (None if total is None else total + fixed for total in around)
        near = " and ".join(
            f"{total:,} {where} it"
            for total, where in ((under, "below"), (over, "above"))
            if total is not None
        )
        raise RecipeError(
            f"no network of the space has {settings.min_active} to {settings.n_nodes} blocks and "
            f"{settings.min_params:,} to {settings.max_params:,} parameters. The smallest has {least:,}, the largest "
            f"{greatest:,}; the nearest to the window have {near}. Move space.min_params or space.max_params, or "
            f"change space.n_nodes, min_active, types, n_convs or growths."
        )
