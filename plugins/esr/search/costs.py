"""What networks of a space have in parameters, from blocks that were built and counted, not from a formula."""

from __future__ import annotations

from functools import cached_property

from srtrain.errors import RecipeError, first_line
from srtrain.models.count import n_parameters
from srtrain.models.esrn import ESRN, BlockKind


class Costs:
    """Parameters part by part; a network's are ``fixed`` and those of its blocks, which a test compares with the whole.

    Every block is built once for each width of its input and remembered, since a search asks many thousand times.

    Args:
        scale: of the networks.
        n_feats: channels outside of the blocks.
    """

    def __init__(self, scale: int, n_feats: int) -> None:
        self.scale = scale
        self.n_feats = n_feats
        self._blocks: dict[tuple[BlockKind, int], int] = {}

    @cached_property
    def fixed(self) -> int:
        """What every network has, whatever its blocks."""
        kind = BlockKind("S", 1, self.n_feats, self.n_feats)
        one = ESRN(self.scale, blocks=(str(kind),), n_feats=self.n_feats)
        return n_parameters(one) - self.block(kind, self.n_feats)

    def block(self, kind: BlockKind, n_in: int) -> int:
        """Return what a block adds to a network, its rows of the fusing convolution included.

        Raises:
            RecipeError: it cannot be built.
        """
        if (kind, n_in) not in self._blocks:
            try:
                built = kind.build(n_in)
            except (ValueError, TypeError, RuntimeError, MemoryError) as error:
                raise RecipeError(
                    f"the block {str(kind)!r} of the space cannot be built for an input of {n_in} channels: "
                    f"{type(error).__name__}: {first_line(error)}"
                ) from error
            self._blocks[kind, n_in] = n_parameters(built) + kind.n_out * self.n_feats
        return self._blocks[kind, n_in]
