"""Whether the gradients of an update are finite, on devices that show an overflow in different ways."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, amp, nn, ops


class FiniteCheck(nn.Cell):
    """For devices where an overflow gives infinity or NaN, which the mean over the ranks keeps.

    An update calls ``clear`` before its forward pass, ``overflowed`` before the mean over the ranks, and ``usable``
    after it. ``overflowed`` is averaged together with the gradients, so that every rank decides alike.
    """

    def clear(self, lq: Tensor) -> Tensor:
        """Forget earlier overflows; return the input of the forward pass, so that it comes after that."""
        return lq

    def overflowed(self, gradients: tuple[Tensor, ...]) -> Tensor:
        """Return 1.0 if an overflow on this rank would not be visible in the mean gradients, else 0.0."""
        return Tensor(0.0, ms.float32)

    def usable(self, gradients: tuple[Tensor, ...], overflowed: Tensor) -> Tensor:
        """Return whether the mean gradients can be used; ``overflowed`` is the mean over the ranks."""
        return amp.all_finite(gradients)


class RegisterCheck(FiniteCheck):
    """For devices that saturate: an overflow gives the largest number, and a mark in a register of this device alone.

    Nothing in the mean gradients shows the overflow, so the mark itself is averaged. The register keeps its marks
    until it is cleared.

    Args:
        read: returns the register, given a tensor of its shape; it depends on everything that must come before.
        clear: clears the register, given the same.
    """

    def __init__(self, read: nn.Cell, clear: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.read_register = read
        self.clear_register = clear
        self.blank = Tensor([0] * 8, ms.int32)

    def clear(self, lq: Tensor) -> Tensor:
        """Clear the register, then return the input."""
        return ops.depend(lq, self.clear_register(ops.depend(self.blank, lq)))

    def overflowed(self, gradients: tuple[Tensor, ...]) -> Tensor:
        """Return 1.0 if the register has a mark after the backward pass."""
        register = self.read_register(ops.depend(self.blank, gradients))
        return ops.cast((register != 0).any(), ms.float32)

    def usable(self, gradients: tuple[Tensor, ...], overflowed: Tensor) -> Tensor:
        """Return whether no rank had an overflow."""
        return overflowed == 0
