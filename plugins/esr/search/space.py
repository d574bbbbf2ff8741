"""The search space: kinds of blocks, their probabilities, and the limits on blocks and parameters."""

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
    """Parameter counts of blocks. ``costs.Costs`` gets them by building the blocks."""

    @property
    def fixed(self) -> int:
        """Parameters outside of the blocks, which every network has."""

    def block(self, kind: BlockKind, n_in: int) -> int:
        """Return how many parameters a block with ``n_in`` input channels adds to a network."""


@dataclass(frozen=True)
class SpaceSettings:
    """The search space as the recipe defines it. The defaults are the published configuration of the authors.

    A kind of block is a combination of a type, a number of convolutions, a growth, and a number of output channels that
    is not below the growth. Its probability is the product of the four probabilities, normalised over all kinds. A kind
    with probability 0 is left out.

    Attributes:
        types: types of blocks, by their names in ``BLOCKS``.
        n_convs: possible numbers of convolutions in a block.
        growths: possible numbers of channels that each convolution adds; output channels are chosen from the same list.
        type_prob: relative probability of each type; the sum does not matter.
        conv_prob: relative probability of each of ``n_convs``.
        growth_prob: relative probability of each growth and each number of output channels.
        n_feats: channels outside of the blocks (G0 in the paper).
        n_nodes: number of genes, and so the largest number of blocks.
        min_active: smallest number of blocks.
        min_params: smallest number of parameters of a network.
        max_params: largest number of parameters.

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
                f"space.min_active = {self.min_active!r} must be from 1 to space.n_nodes = {self.n_nodes!r}."
            )
        if not 0 <= self.min_params <= self.max_params:
            raise RecipeError(
                f"space.min_params = {self.min_params!r} must be 0 or more, and at most space.max_params = "
                f"{self.max_params!r}."
            )
        if self.n_feats < 1:
            raise RecipeError(f"space.n_feats = {self.n_feats!r} must be 1 channel or more.")

    def _check(self, values: str, probabilities: str) -> None:
        """Refuse choices that are empty or repeated, and probabilities that do not fit them."""
        choices: Sequence[Any] = getattr(self, values)
        weights: Sequence[float] = getattr(self, probabilities)
        if not choices or len(set(choices)) < len(choices):
            raise RecipeError(
                f"space.{values} = {choices!r} must list at least one choice, and each choice only once."
            )
        if values != "types" and min(choices) < 1:
            raise RecipeError(f"space.{values} = {choices!r} must contain only numbers of 1 or more.")
        if len(weights) != len(choices):
            raise RecipeError(
                f"space.{probabilities} = {weights!r} has {len(weights)} numbers, and space.{values} = {choices!r} has "
                f"{len(choices)} choices. Give one number for each choice."
            )
        if not all(math.isfinite(p) and p >= 0 for p in weights) or not any(weights):
            raise RecipeError(
                f"space.{probabilities} = {weights!r} must contain only numbers of 0 or more, one of them above 0. "
                f"Their sum does not matter."
            )


@dataclass(frozen=True)
class CostTable:
    """Parameters of every kind of block, for every possible width of its input.

    Attributes:
        cost: ``cost[k, w]`` for kind ``k`` and input width ``w``; the last row is zero and stands for "no block".
        out: for each kind, the column of ``cost`` that belongs to the width of its output.
        start: the column of ``cost`` that belongs to the input of the first block.
        fixed: parameters outside of the blocks.
    """

    cost: Int64
    out: Int64
    start: int
    fixed: int

    @cached_property
    def behind(self) -> Int64:
        """``behind[j, k]``: the cost of a block of kind ``j`` that directly follows kind ``k``."""
        return self.cost[:, self.out]

    @cached_property
    def by_width(self) -> Int64:
        """``cost`` without its last row, transposed: one row for each width."""
        return np.ascontiguousarray(self.cost[:-1].T)


class Space:
    """All networks that the settings allow.

    Args:
        settings: kinds of blocks and limits.
        costs: parameter counts of blocks.

    Attributes:
        kinds: kinds of blocks; genes are indices into it.
        names: names of the kinds.
        prior: probability of each kind; the sum is 1.
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
        """The cost table, built at the first use.

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
        return self.table.cost.tolist()  # Python numbers are faster than NumPy for single values

    @cached_property
    def _out(self) -> list[int]:
        return self.table.out.tolist()

    @cached_property
    def reachable(self) -> Reachable:
        """The dynamic programme over all sequences of blocks."""
        return Reachable(self.table.cost[:-1], self.table.out, self.settings.n_nodes)

    @property
    def lengths(self) -> range:
        """Allowed numbers of blocks."""
        return range(self.settings.min_active, self.settings.n_nodes + 1)

    @property
    def window(self) -> tuple[int, int]:
        """The smallest and the largest number of parameters that all blocks of a network may have together."""
        return self.settings.min_params - self.table.fixed, self.settings.max_params - self.table.fixed

    def blocks(self, genome: Genome) -> tuple[str, ...]:
        """Return the names of the blocks that are switched on."""
        return tuple(self.names[kind] for on, kind in zip(genome.on, genome.kinds, strict=True) if on)

    def walk(self, on: Sequence[bool], kinds: Sequence[int]) -> tuple[int, list[int], list[int]]:
        """Return the parameters of a network, and for each gene the width before it and the kind of the next block.

        Widths are columns of the cost table. If no block follows, the kind is the last row of the table.
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
        """Return the parameters of many networks at once; both arguments have the shape (networks, genes)."""
        table, n_widths = self.table, self.table.cost.shape[1]
        # A gene that is off gets the last row of the table, which costs nothing and keeps the width.
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
        """Return whether a genome has enough blocks and its parameters are in the window."""
        settings = self.settings
        return (
            sum(genome.on) >= settings.min_active
            and settings.min_params <= self.parameters(genome) <= settings.max_params
        )

    def networks(self) -> Iterator[tuple[str, ...]]:
        """Yield the blocks of every network of the space, each network once."""
        order = list(range(len(self.kinds)))
        for n in self.lengths:
            for row in self.reachable.rows(n, self.table.start, *self.window, lambda: order):
                yield tuple(self.names[kind] for kind in row)

    def check(self) -> None:
        """Check that the space has at least one network.

        Raises:
            RecipeError: it has none; the message gives the smallest and the largest number of parameters, and those
                nearest to the window.
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
            f"{settings.min_params:,} to {settings.max_params:,} parameters. The smallest network has {least:,} "
            f"parameters, the largest {greatest:,}; the nearest to the window have {near}. Change "
            f"space.min_params or space.max_params, or space.n_nodes, min_active, types, n_convs or growths."
        )
