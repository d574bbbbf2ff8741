"""Repair: change a genome step by step until its network has enough blocks and its parameters are in the window."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .space import Float64, Space
from .types import Genome


def pick(rng: np.random.Generator, weights: Float64, size: int | tuple[int, ...] = 1) -> NDArray[np.intp]:
    """Draw indices; the probability of each is proportional to its weight."""
    sums = weights.cumsum()
    # The product may round up to the last sum, and the index would then be out of range.
    return np.minimum(sums.searchsorted(rng.random(size) * sums[-1], "right"), len(sums) - 1)


def repair(space: Space, genome: Genome, weights: Float64, rng: np.random.Generator) -> Genome:
    """Return a feasible genome that is close to the given one. A feasible genome is returned unchanged.

    First, genes are switched on until there are enough blocks. Then one gene at a time changes its kind or is switched
    on or off. If some changes lead into the window, one of them is drawn by ``weights``; otherwise one of the changes
    that come nearest to the window is made.

    This always ends. Every change reduces the number of missing blocks or the distance to the window, and both are
    whole numbers. If no change reduces the distance, the end of the genome is drawn again: the shortest end for which
    ``Reachable`` knows a feasible sequence. If the end is the whole genome, such a sequence exists unless the space is
    empty.

    Args:
        weights: relative probability of each kind, above 0.

    Raises:
        RecipeError: the space is empty.
    """
    on, kinds = list(genome.on), list(genome.kinds)
    off = [gene for gene, is_on in enumerate(on) if not is_on]
    for _ in range(space.settings.min_active - sum(on)):
        on[off.pop(int(pick(rng, weights[[kinds[gene] for gene in off]])[0]))] = True
    while (change := _change(space, on, kinds, weights, rng)) is not None:
        gene, kind = change
        if kind == len(space.kinds):
            on[gene] = not on[gene]
        else:
            kinds[gene] = kind
    changed = Genome(tuple(on), tuple(kinds))
    return changed if space.feasible(changed) else _with_new_tail(space, changed, weights, rng)


def _change(
    space: Space, on: list[bool], kinds: list[int], weights: Float64, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Return the gene to change and its new kind; the kind ``len(space.kinds)`` means "switch it on or off".

    Return ``None`` if the network is in the window, or if no change of one gene brings it nearer.
    """
    table, n_kinds = space.table, len(space.kinds)
    total, widths, following = space.walk(on, kinds)
    low, high = space.settings.min_params, space.settings.max_params
    if low <= total <= high:
        return None
    # What each kind would add at the place of each gene, including the change in the cost of the next block.
    added = table.by_width[widths] + table.behind[following]
    added -= table.cost[following, widths][:, None]
    is_on, genes = np.array(on), np.arange(len(on))
    own = added[genes, kinds]
    totals = np.empty((len(on), n_kinds + 1), np.int64)
    np.add(added, (total - own)[:, None], out=totals[:, :-1])
    totals[:, -1] = total + np.where(is_on, -own, own)
    away = np.maximum(np.maximum(low - totals, totals - high), 0)
    # The kind of a gene that is off has no effect. At the smallest number of blocks, none may be switched off.
    now = max(low - total, total - high)
    away[~is_on, :-1] = now
    if sum(on) == space.settings.min_active:
        away[is_on, -1] = now
    nearest = int(away.min())
    if nearest == now:
        return None
    places = np.flatnonzero(away == nearest)
    likely = np.append(weights, 1 / n_kinds)  # switching is as likely as an average kind
    place = int(places[pick(rng, likely[places % (n_kinds + 1)])[0]])
    return divmod(place, n_kinds + 1)


def _with_new_tail(space: Space, genome: Genome, weights: Float64, rng: np.random.Generator) -> Genome:
    """Draw the end of a genome again: the shortest end with which the network can be in the window.

    Raises:
        RecipeError: the space is empty.
    """
    space.check()
    starts = reversed(range(len(genome.on)))
    return next(found for start in starts for found in tails(space, genome, start, weights, rng))


def tails(
    space: Space, genome: Genome, start: int, weights: Float64, rng: np.random.Generator
) -> Iterator[Genome]:
    """Yield the feasible genomes that equal ``genome`` before gene ``start``: each network once, in random order.

    Kinds with more weight tend to come first. With ``start = 0`` these are all networks of the space.
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
