"""Create genomes: at random, by mutation of one parent, by crossover of two. All results are feasible."""

from __future__ import annotations

import numpy as np

from .repair import pick, repair
from .space import Float64, Space
from .types import Genome

_SHORTEST_SEGMENT = 4
_N_DRAWS, _N_AT_ONCE = 4096, 128


def draw(space: Space, rng: np.random.Generator) -> Genome:
    """Return a random genome. The number of genes that are on and their places are uniform; kinds follow the prior.

    Genomes are drawn until one is feasible, so the result follows the prior restricted to feasible genomes. In the
    authors' space, one in 200 is feasible. If 4096 draws all miss the window, the last one is repaired.

    Raises:
        RecipeError: the space is empty.
    """
    settings = space.settings
    for _ in range(_N_DRAWS // _N_AT_ONCE):
        n_on = rng.integers(settings.min_active, settings.n_nodes, (_N_AT_ONCE, 1), endpoint=True)
        on = rng.permuted(np.tile(np.arange(settings.n_nodes), (_N_AT_ONCE, 1)), axis=1) < n_on
        kinds = pick(rng, space.prior, on.shape)
        totals = space.totals(on, kinds)
        feasible = (settings.min_params <= totals) & (totals <= settings.max_params)
        place = int(feasible.argmax())  # the first feasible one, or 0 if there is none
        genome = Genome(tuple(on[place].tolist()), tuple(kinds[place].tolist()))
        if feasible[place]:
            return genome
    return repair(space, genome, space.prior, rng)


def mutate(space: Space, parent: Genome, rate: float, weights: Float64, rng: np.random.Generator) -> Genome:
    """Return a child. Each gene is switched, and each kind is drawn again by ``weights``, with probability ``rate``."""
    n_nodes = space.settings.n_nodes
    on = np.array(parent.on, bool) ^ (rng.random(n_nodes) < rate)
    kinds = np.where(rng.random(n_nodes) < rate, pick(rng, weights, n_nodes), parent.kinds)
    return repair(space, Genome(tuple(on.tolist()), tuple(kinds.tolist())), weights, rng)


def cross(space: Space, first: Genome, second: Genome, weights: Float64, rng: np.random.Generator) -> Genome:
    """Return ``first`` with a segment of ``second``. The segment has 4 genes to half of all genes, at most half."""
    n_nodes = space.settings.n_nodes
    longest = max(1, n_nodes // 2)
    length = int(rng.integers(min(_SHORTEST_SEGMENT, longest), longest, endpoint=True))
    start = int(rng.integers(0, n_nodes - length, endpoint=True))
    end = start + length
    child = Genome(
        first.on[:start] + second.on[start:end] + first.on[end:],
        first.kinds[:start] + second.kinds[start:end] + first.kinds[end:],
    )
    return repair(space, child, weights, rng)
