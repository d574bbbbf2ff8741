"""From any genome to one whose network has enough blocks and a number of parameters in the window, by small changes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .space import Float64, Space
from .types import Genome


def pick(rng: np.random.Generator, weights: Float64, size: int | tuple[int, ...] = 1) -> NDArray[np.intp]:
    """Draw places of ``weights``, each as likely as its weight."""
    sums = weights.cumsum()
    # The product may round up to the last sum, which would be one place too far.
    return np.minimum(sums.searchsorted(rng.random(size) * sums[-1], "right"), len(sums) - 1)


def repair(space: Space, genome: Genome, weights: Float64, rng: np.random.Generator) -> Genome:
    """Return a genome of the space, as near to the one given as small changes lead; a feasible one as it is.

    Genes are switched on while there are too few, and then one gene at a time changes its kind or its bit. Among the
    changes that land in the window one is drawn by ``weights``; where none does, the one that comes nearest is made.

    This ends: the pair (blocks missing, parameters away from the window) gets smaller with every change, and of such
    pairs there are finitely many below the first. Where no change makes it smaller, the shortest tail is drawn anew
    that the dynamic programme of ``Reachable`` has a row for; the tail that is the whole genome has one unless the
    space is empty, which is an error.

    Args:
        weights: of the kinds, above 0.

    Raises:
        RecipeError: the space is empty.
    """
    on, kinds = np.array(genome.on, bool), np.array(genome.kinds, np.int64)
    while (missing := space.settings.min_active - int(on.sum())) > 0:
        off = np.flatnonzero(~on)
        if missing == len(off):
            on[:] = True
        else:
            on[off[pick(rng, weights[kinds[off]])]] = True
    while True:
        change = _change(space, on, kinds, weights, rng)
        if change is None:
            break
        gene, kind = change
        if kind == len(space.kinds):
            on[gene] = not on[gene]
        else:
            kinds[gene] = kind
    fixed = Genome(tuple(on.tolist()), tuple(kinds.tolist()))
    return fixed if space.feasible(fixed) else _with_new_tail(space, fixed, weights, rng)


def _change(
    space: Space, on: NDArray[np.bool_], kinds: NDArray[np.int64], weights: Float64, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Return the gene to change and its new kind; one more than all kinds stands for its bit.

    ``None`` when the genome is feasible, or when no change of one gene brings it nearer.
    """
    low, high = space.settings.min_params, space.settings.max_params
    table, n_kinds, genes = space.table, len(space.kinds), np.arange(len(on))
    # What the network before each gene ends with, and what comes after the gene, of no kind at the end.
    last_on = np.maximum.accumulate(np.where(on, genes, -1))
    before = np.concatenate(([-1], last_on[:-1]))
    width = np.where(before < 0, table.start, table.out[kinds[before]])
    next_on = np.minimum.accumulate(np.where(on, genes, len(on))[::-1])[::-1]
    after = np.concatenate((next_on[1:], [len(on)]))
    following = np.append(kinds, n_kinds)[after]
    # Parameters that each kind would add in each gene's place, and with them the network's.
    added = table.cost[:-1, width].T + table.behind[following] - table.cost[following, width][:, None]
    own = added[genes, kinds]
    total = table.fixed + int(table.cost[kinds, width] @ on)
    if low <= total <= high:
        return None
    totals = np.empty((len(on), n_kinds + 1), np.int64)
    totals[:, :-1] = (total - own)[:, None] + added
    totals[:, -1] = np.where(on, total - own, total + own)
    away = np.maximum(np.maximum(low - totals, totals - high), 0)
    # A gene that is off has no kind to change, and no fewer may be on than have to be.
    never = max(low - total, total - high)
    away[~on, :-1] = never
    if on.sum() == space.settings.min_active:
        away[on, -1] = never
    nearest = int(away.min())
    if nearest == never:
        return None
    places = np.flatnonzero(away == nearest)
    likely = np.append(weights, 1 / n_kinds)  # a bit, as likely as a kind on average
    place = int(places[pick(rng, likely[places % (n_kinds + 1)])[0]])
    return divmod(place, n_kinds + 1)


def _with_new_tail(space: Space, genome: Genome, weights: Float64, rng: np.random.Generator) -> Genome:
    """Draw the shortest tail anew with which the network is in the window.

    Raises:
        RecipeError: the space is empty.
    """
    space.check()
    starts = reversed(range(len(genome.on)))
    return next(found for start in starts for found in tails(space, genome, start, weights, rng))


def tails(
    space: Space, genome: Genome, start: int, weights: Float64, rng: np.random.Generator
) -> Iterator[Genome]:
    """Yield feasible genomes that are equal to one given before the gene ``start``; each network once, in random order.

    Kinds of more weight tend to come first. From gene 0 on these are all networks of the space.
    """
    head = [kind for on, kind in zip(genome.on[:start], genome.kinds, strict=False) if on]
    width, spent = space.table.start, 0
    for kind in head:
        spent += int(space.table.cost[kind, width])
        width = int(space.table.out[kind])
    low, high = space.window
    n_tail = len(genome.on) - start
    n_fewest = max(0, space.settings.min_active - len(head))

    def order() -> list[int]:
        return np.argsort(rng.exponential(size=len(weights)) / weights).tolist()

    for n in n_fewest + rng.permutation(max(0, n_tail - n_fewest + 1)):
        for row in space.reachable.rows(int(n), width, low - spent, high - spent, order):
            on, kinds = np.array(genome.on, bool), np.array(genome.kinds, np.int64)
            places = start + np.sort(rng.permutation(n_tail)[: len(row)])
            on[start:] = False
            on[places] = True
            kinds[places] = row
            yield Genome(tuple(on.tolist()), tuple(kinds.tolist()))
