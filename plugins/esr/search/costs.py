"""Parameter counts of the parts of a network. They are counted on blocks that were built, not computed by a formula."""

from __future__ import annotations

from functools import cached_property

from srtrain.errors import RecipeError, first_line
from srtrain.models.count import n_parameters
from srtrain.models.esrn import ESRN, BlockKind


class Costs:
    """Parameter counts: a network has ``fixed`` plus the sum over its blocks. A test compares this with whole networks.

    Each block is built once for each width of its input, and its count is kept, because a search asks for it thousands
    of times.

    Args:
        scale: scale of the networks.
        n_feats: channels outside of the blocks.
        n_colors: channels of the pictures.
    """

    def __init__(self, scale: int, n_feats: int, n_colors: int = 3) -> None:
        self.scale = scale
        self.n_feats = n_feats
        self.n_colors = n_colors
        self._blocks: dict[tuple[BlockKind, int], int] = {}

    @cached_property
    def fixed(self) -> int:
        """Parameters outside of the blocks, which every network has."""
        kind = BlockKind("S", 1, self.n_feats, self.n_feats)
        one = ESRN(self.scale, blocks=(str(kind),), n_feats=self.n_feats, n_colors=self.n_colors)
        return n_parameters(one) - self.block(kind, self.n_feats)

    def block(self, kind: BlockKind, n_in: int) -> int:
        """Return how many parameters a block adds, including its share of the convolution that fuses all blocks.

        Raises:
            RecipeError: the block cannot be built.
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
