"""Optimizers whose update is written out, because those of MindSpore and ``mindcv`` equal neither PyTorch nor a paper.

State and arithmetic are float32. ``docs/optimizers.md`` lists the references, the defaults and the deviations.
"""

from __future__ import annotations

import math

import mindspore as ms
from mindspore import Tensor, nn, ops


class Formula(nn.Optimizer):
    """What they share: weight decay, state of the shape of each weight, and the number of updates.

    A subclass has ``updated(i, weight, gradient, lr)``, which assigns the state of the ``i``-th weight and returns the
    new weight.

    Raises:
        ValueError: an argument is out of range.
    """

    decoupled = False
    """Whether ``updated`` applies the weight decay. Otherwise its gradient is added to the given one (L2)."""

    def __init__(self, params: list[ms.Parameter], learning_rate: float, weight_decay: float) -> None:
        super().__init__(learning_rate, params)
        if weight_decay < 0:
            raise ValueError(f"'weight_decay' is {weight_decay} and must be 0 or more")
        self.decay = float(weight_decay)
        self.n_updates = ms.Parameter(Tensor(0.0, ms.float32), name="n_updates")

    def state_of_each(self, name: str, initial: float = 0.0) -> ms.ParameterTuple:
        """Return a float32 Parameter for each weight."""
        return ms.ParameterTuple(
            ms.Parameter(ops.full(weight.shape, initial, dtype=ms.float32), name=f"{name}.{weight.name}")
            for weight in self._parameters
        )

    def construct(self, gradients: tuple[Tensor, ...]) -> Tensor:
        """Make one update; return its number, which counts from 1."""
        lr = self.get_lr()
        ops.assign(self.n_updates, self.n_updates + 1)
        self.begin()
        for i in range(len(self._parameters)):
            weight = ops.cast(self._parameters[i], ms.float32)
            gradient = ops.cast(gradients[i], ms.float32)
            if self.decay > 0 and not self.decoupled:
                gradient = gradient + self.decay * weight
            new = self.updated(i, weight, gradient, lr)
            ops.assign(self._parameters[i], ops.cast(new, self._parameters[i].dtype))
        return self.n_updates

    def begin(self) -> None:
        """Assign the state that all weights share."""

    def updated(self, i: int, weight: Tensor, gradient: Tensor, lr: Tensor) -> Tensor:
        """Return the new value of the ``i``-th weight."""
        raise NotImplementedError

    def correction(self, beta: float) -> Tensor:
        """Return 1 - beta^t for update t; ``expm1`` keeps the digits that this difference loses for a large beta."""
        return -ops.expm1(self.n_updates * math.log(max(beta, 1e-30)))

    def mean(self, state: ms.Parameter, value: Tensor, beta: float) -> Tensor:
        """Move a running mean towards a value, and return it."""
        ops.assign(state, beta * state + (1 - beta) * value)
        return state


def check_betas(eps: float, **betas: float) -> None:
    """Refuse a beta outside of [0, 1), and an ``eps`` that is not positive.

    Raises:
        ValueError: names the argument.
    """
    for name, beta in betas.items():
        if not 0 <= beta < 1:
            raise ValueError(f"{name!r} is {beta} and must be in [0, 1)")
    if not eps > 0:
        raise ValueError(f"'eps' is {eps} and must be above 0")


class NAdam(Formula):
    """Adam with Nesterov's momentum, as ``torch.optim.NAdam`` (Dozat 2016)."""

    def __init__(
        self,
        params: list[ms.Parameter],
        learning_rate: float,
        beta1: float = 0.9,
        beta2: float = 0.999,
        schedule_decay: float = 4e-3,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, learning_rate, weight_decay)
        check_betas(eps, beta1=beta1, beta2=beta2)
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.log_decay = schedule_decay * math.log(0.96)
        self.mean1, self.mean2 = self.state_of_each("mean1"), self.state_of_each("mean2")
        self.mu_product = ms.Parameter(Tensor(1.0, ms.float32), name="mu_product")

    def mu(self, t: Tensor) -> Tensor:
        """Return the momentum of update ``t``."""
        return self.beta1 * (1 - 0.5 * ops.exp(t * self.log_decay))

    def begin(self) -> None:
        """Multiply the momenta of all updates."""
        ops.assign(self.mu_product, self.mu_product * self.mu(self.n_updates))

    def updated(self, i: int, weight: Tensor, gradient: Tensor, lr: Tensor) -> Tensor:
        """Return the new value of the ``i``-th weight."""
        mean1 = self.mean(self.mean1[i], gradient, self.beta1)
        mean2 = self.mean(self.mean2[i], ops.square(gradient), self.beta2)
        mu, mu_next = self.mu(self.n_updates), self.mu(self.n_updates + 1)
        step = (1 - mu) / (1 - self.mu_product) * gradient
        step = step + mu_next / (1 - self.mu_product * mu_next) * mean1
        return weight - lr * step / (ops.sqrt(mean2 / self.correction(self.beta2)) + self.eps)


class Adan(Formula):
    """Adaptive Nesterov momentum, as its authors' code (Xie et al. 2022, arXiv 2208.06677, algorithm 1).

    The betas are the shares that are kept, as in that code; the paper writes 1 - beta.
    """

    decoupled = True

    def __init__(
        self,
        params: list[ms.Parameter],
        learning_rate: float,
        beta1: float = 0.98,
        beta2: float = 0.92,
        beta3: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, learning_rate, weight_decay)
        check_betas(eps, beta1=beta1, beta2=beta2, beta3=beta3)
        self.beta1, self.beta2, self.beta3, self.eps = beta1, beta2, beta3, eps
        self.mean1, self.mean2 = self.state_of_each("mean1"), self.state_of_each("mean2")
        self.mean3, self.previous = self.state_of_each("mean3"), self.state_of_each("previous")

    def updated(self, i: int, weight: Tensor, gradient: Tensor, lr: Tensor) -> Tensor:
        """Return the new value of the ``i``-th weight."""
        change = (gradient - self.previous[i]) * ops.cast(self.n_updates > 1, ms.float32)
        mean1 = self.mean(self.mean1[i], gradient, self.beta1)
        mean2 = self.mean(self.mean2[i], change, self.beta2)
        mean3 = self.mean(self.mean3[i], ops.square(gradient + self.beta2 * change), self.beta3)
        ops.assign(self.previous[i], gradient)
        step = mean1 / self.correction(self.beta1) + self.beta2 * mean2 / self.correction(self.beta2)
        step = step / (ops.sqrt(mean3 / self.correction(self.beta3)) + self.eps)
        return (weight - lr * step) / (1 + lr * self.decay)


class RMSProp(Formula):
    """Gradients divided by their running root mean square, as ``torch.optim.RMSprop``; ``decay`` is its ``alpha``."""

    def __init__(
        self,
        params: list[ms.Parameter],
        learning_rate: float,
        decay: float = 0.99,
        momentum: float = 0.0,
        eps: float = 1e-8,
        centered: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, learning_rate, weight_decay)
        check_betas(eps, decay=decay, momentum=momentum)
        self.share, self.momentum, self.eps, self.centered = decay, momentum, eps, centered
        self.mean1, self.mean2 = self.state_of_each("mean1"), self.state_of_each("mean2")
        self.velocity = self.state_of_each("velocity")

    def updated(self, i: int, weight: Tensor, gradient: Tensor, lr: Tensor) -> Tensor:
        """Return the new value of the ``i``-th weight."""
        square = self.mean(self.mean2[i], ops.square(gradient), self.share)
        if self.centered:
            mean1 = self.mean(self.mean1[i], gradient, self.share)
            square = ops.maximum(square - ops.square(mean1), 0.0)  # rounding can make it negative
        step = gradient / (ops.sqrt(square) + self.eps)
        if self.momentum > 0:
            step = self.momentum * self.velocity[i] + step
            ops.assign(self.velocity[i], step)
        return weight - lr * step


class Adagrad(Formula):
    """Gradients divided by the root of the sum of their squares, as ``torch.optim.Adagrad``.

    ``accum`` is the sum before the first update, PyTorch's ``initial_accumulator_value``.
    """

    def __init__(
        self,
        params: list[ms.Parameter],
        learning_rate: float,
        accum: float = 0.0,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, learning_rate, weight_decay)
        check_betas(eps)
        if accum < 0:
            raise ValueError(f"'accum' is {accum} and must be 0 or more")
        self.eps = eps
        self.sums = self.state_of_each("sum", accum)

    def updated(self, i: int, weight: Tensor, gradient: Tensor, lr: Tensor) -> Tensor:
        """Return the new value of the ``i``-th weight."""
        ops.assign(self.sums[i], self.sums[i] + ops.square(gradient))
        return weight - lr * gradient / (ops.sqrt(self.sums[i]) + self.eps)


class Lamb(Formula):
    """Adam whose step has the length of the weight (You et al. 2019, arXiv 1904.00962, algorithm 2)."""

    decoupled = True

    def __init__(
        self,
        params: list[ms.Parameter],
        learning_rate: float,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, learning_rate, weight_decay)
        check_betas(eps, beta1=beta1, beta2=beta2)
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.mean1, self.mean2 = self.state_of_each("mean1"), self.state_of_each("mean2")

    def updated(self, i: int, weight: Tensor, gradient: Tensor, lr: Tensor) -> Tensor:
        """Return the new value of the ``i``-th weight."""
        mean1 = self.mean(self.mean1[i], gradient, self.beta1) / self.correction(self.beta1)
        mean2 = self.mean(self.mean2[i], ops.square(gradient), self.beta2) / self.correction(self.beta2)
        step = mean1 / (ops.sqrt(mean2) + self.eps) + self.decay * weight
        sizes = ops.sqrt(ops.reduce_sum(ops.square(weight))), ops.sqrt(ops.reduce_sum(ops.square(step)))
        both = ops.logical_and(sizes[0] > 0, sizes[1] > 0)
        trust = ops.select(both, sizes[0] / ops.maximum(sizes[1], 1e-30), ops.ones_like(sizes[0]))
        return weight - lr * trust * step


FORMULAS: dict[str, type[Formula]] = {
    "nadam": NAdam,
    "adan": Adan,
    "rmsprop": RMSProp,
    "adagrad": Adagrad,
    "lamb": Lamb,
}
"""The optimizers of this file by their name in a recipe."""
