"""Build optimizers by their name in ``mindcv.optim``, and check their arguments."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindcv.optim import create_optimizer
from mindspore import nn

from srtrain.errors import RecipeError, UnknownNameError, did_you_mean, listing

# The arguments that mindcv's factory passes on to each optimizer. This table is needed because the classes hide their
# signatures behind a decorator, and because the factory silently drops other arguments: its ``eps`` reaches RMSProp
# only, and the momentum optimizers receive only the arguments below.
ARGUMENTS = {
    "sgd": {"momentum", "nesterov", "dampening", "weight_decay"},
    "momentum": {"momentum", "weight_decay"},
    "nesterov": {"momentum", "weight_decay"},
    "adam": {"beta1", "beta2", "nesterov", "use_amsgrad", "weight_decay"},
    "adamw": {"beta1", "beta2", "clip", "weight_decay"},
    "lion": {"beta1", "beta2", "clip", "weight_decay"},
    "nadam": {"beta1", "beta2", "schedule_decay", "weight_decay"},
    "adan": {"beta1", "beta2", "beta3"},
    "rmsprop": {"decay", "momentum", "eps", "centered", "weight_decay"},
    "adagrad": {"accum", "weight_decay"},
    "lamb": {"beta1", "beta2", "weight_decay"},
}


def check_optimizer(name: str, arguments: dict[str, Any], device: str = "") -> None:
    """Refuse an unknown optimizer, and arguments that the factory would silently ignore.

    Raises:
        UnknownNameError: ``mindcv.optim`` has no such optimizer.
        RecipeError: the optimizer has no such argument, or no kernel for the device.
    """
    if name not in ARGUMENTS:
        raise UnknownNameError(
            f"there is no optimizer named {name!r}.{did_you_mean(name, ARGUMENTS)} mindcv.optim has: "
            f"{listing(ARGUMENTS)}."
        )
    if name == "lamb" and device == "cpu":
        raise RecipeError(
            "the optimizer 'lamb' has no kernel for device = 'cpu' in MindSpore. Use adamw, which is similar."
        )
    known = ARGUMENTS[name]
    for key in arguments:
        if key not in known:
            raise RecipeError(
                f"the optimizer {name!r} takes no argument {key!r}.{did_you_mean(key, known)} "
                f"It takes: {listing(known)}; the learning rate is optim.lr."
            )


def build_optimizer(name: str, parameters: list[ms.Parameter], lr: float, **arguments: Any) -> nn.Optimizer:
    """Build an optimizer whose ``learning_rate`` is one assignable Parameter.

    Raises:
        UnknownNameError: ``mindcv.optim`` has no such optimizer.
        RecipeError: the optimizer has no such argument, or refuses its value.
    """
    check_optimizer(name, arguments)
    if name == "nesterov":  # the factory uses nn.Momentum, which ignores use_nesterov on a CPU
        name, arguments = "sgd", {"momentum": 0.9, **arguments, "nesterov": True}
    try:
        return create_optimizer(parameters, opt=name, lr=lr, **arguments)
    except (ValueError, TypeError) as error:
        first = str(error).strip().splitlines()[0]
        raise RecipeError(f"optim.optimizer = {name!r} with {arguments!r}: {first}") from error


def own_state(optimizer: nn.Optimizer) -> dict[str, ms.Parameter]:
    """Return the optimizer's own Parameters by name, such as moments and the learning rate, without the weights."""
    weights = {id(p) for p in optimizer.parameters}
    return {p.name: p for p in optimizer.get_parameters() if id(p) not in weights}
