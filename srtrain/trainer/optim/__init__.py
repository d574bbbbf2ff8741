"""Build optimizers by name, and check their arguments. ``docs/optimizers.md`` compares each with its reference."""

from __future__ import annotations

import inspect
from typing import Any

import mindspore as ms
from mindcv.optim import create_optimizer
from mindspore import nn

from srtrain.errors import RecipeError, UnknownNameError, did_you_mean, listing
from srtrain.trainer.optim.formulas import FORMULAS

# The arguments that mindcv's factory passes on to each optimizer. This table is needed because the classes hide their
# signatures behind a decorator, and because the factory silently drops other arguments: the momentum optimizers receive
# only the arguments below, and none receives ``eps``. Adam's ``nesterov`` is left out: its formula is MindSpore's own.
_OF_MINDCV = {
    "sgd": {"momentum", "nesterov", "dampening", "weight_decay"},
    "momentum": {"momentum", "weight_decay"},
    "nesterov": {"momentum", "weight_decay"},
    "adam": {"beta1", "beta2", "use_amsgrad", "weight_decay"},
    "adamw": {"beta1", "beta2", "clip", "weight_decay"},
    "lion": {"beta1", "beta2", "clip", "weight_decay"},
}
ARGUMENTS = _OF_MINDCV | {
    name: set(inspect.signature(formula).parameters) - {"params", "learning_rate"}
    for name, formula in FORMULAS.items()
}
"""The arguments of each optimizer beside the weights and the learning rate."""


def check_optimizer(name: str, arguments: dict[str, Any]) -> None:
    """Refuse an unknown optimizer, and arguments that the factory would silently ignore.

    Raises:
        UnknownNameError: there is no such optimizer.
        RecipeError: the optimizer has no such argument.
    """
    if name not in ARGUMENTS:
        raise UnknownNameError(
            f"there is no optimizer named {name!r}.{did_you_mean(name, ARGUMENTS)} Optimizers: "
            f"{listing(ARGUMENTS)}."
        )
    known = ARGUMENTS[name]
    for key in arguments:
        if key not in known:
            raise RecipeError(
                f"the optimizer {name!r} takes no argument {key!r}.{did_you_mean(key, known)} "
                f"It takes: {listing(known)}; the learning rate is optim.lr. 'srtrain explain {name}' describes it."
            )


def build_optimizer(name: str, parameters: list[ms.Parameter], lr: float, **arguments: Any) -> nn.Optimizer:
    """Build an optimizer whose ``learning_rate`` is one assignable Parameter.

    Raises:
        UnknownNameError: there is no such optimizer.
        RecipeError: the optimizer has no such argument, or refuses its value.
    """
    check_optimizer(name, arguments)
    if name == "sgd":
        arguments = {"momentum": 0.0, **arguments}  # as PyTorch; the factory's default is 0.9
    elif name == "nesterov":  # the factory uses nn.Momentum, which ignores use_nesterov on a CPU
        name, arguments = "sgd", {"momentum": 0.9, **arguments, "nesterov": True}
    try:
        if name in FORMULAS:
            return FORMULAS[name](parameters, lr, **arguments)
        return create_optimizer(parameters, opt=name, lr=lr, **arguments)
    except (ValueError, TypeError) as error:
        first = str(error).strip().splitlines()[0]
        raise RecipeError(f"optim.optimizer = {name!r} with {arguments!r}: {first}") from error


def own_state(optimizer: nn.Optimizer) -> dict[str, ms.Parameter]:
    """Return the optimizer's own Parameters by name, such as moments and the learning rate, without the weights."""
    weights = {id(p) for p in optimizer.parameters}
    return {p.name: p for p in optimizer.get_parameters() if id(p) not in weights}
