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
    """Return the gene to change and its new kind; one more than all kinds stands for its bit.

    ``None`` when the network is in the window, or when no change of one gene brings it nearer.
    """
    table, n_kinds = space.table, len(space.kinds)
    total, widths, following = space.walk(on, kinds)
    low, high = space.settings.min_params, space.settings.max_params
    if low <= total <= high:
        return None
    # What each kind would add to the network in each gene's place, the change to the next block's cost among it.
    added = table.by_width[widths] + table.behind[following]
    added -= table.cost[following, widths][:, None]
    is_on, genes = np.array(on), np.arange(len(on))
    own = added[genes, kinds]
    totals = np.empty((len(on), n_kinds + 1), np.int64)
    np.add(added, (total - own)[:, None], out=totals[:, :-1])
    totals[:, -1] = total + np.where(is_on, -own, own)
    away = np.maximum(np.maximum(low - totals, totals - high), 0)
    # A gene that is off has no kind to change, and no fewer may be on than have to be.
    now = max(low - total, total - high)
    away[~is_on, :-1] = now
    if sum(on) == space.settings.min_active:
        away[is_on, -1] = now
    nearest = int(away.min())
    if nearest == now:
        return None
    places = np.flatnonzero(away == nearest)
    likely = np.append(weights, 1 / n_kinds)  # a bit is as likely as a kind on average
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
