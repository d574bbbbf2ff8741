"""Compute the activations of blocks again in the backward pass instead of keeping them."""

from __future__ import annotations

from mindspore import nn

from srtrain.errors import RecipeError


def recompute_blocks(network: nn.Cell) -> int:
    """Mark the blocks of a network, which are the cells of its longest sequence; return their number.

    The forward pass then keeps only the outputs of the blocks. The backward pass computes each block once more, from
    the same numbers, so the gradients have the same bits.

    Raises:
        RecipeError: the network has no sequence of two or more cells.
    """
    sequences = [
        list(cell.cells())
        for _, cell in network.cells_and_names()
        if isinstance(cell, (nn.SequentialCell, nn.CellList))
    ]
    blocks = max(sequences, key=len, default=[])
    if len(blocks) < 2:
        raise RecipeError(
            f"train.recompute = True: {type(network).__name__} has no sequence of blocks (nn.SequentialCell or "
            f"nn.CellList) to compute again. Use train.accumulate to save memory."
        )
    for block in blocks:
        block.recompute()
    return len(blocks)
