"""Every optimizer in the table exists, and every argument in the table has an effect."""

import functools

import mindspore as ms
import numpy as np
import pytest

from srtrain.errors import RecipeError, UnknownNameError
from srtrain.trainer.optim import ARGUMENTS, build_optimizer, check_optimizer, own_state

# Large at first, then turning: so that clipping, AMSGrad and momentum all make a difference.
GRADIENTS = [np.float32([1, -2, 30]), np.float32([0.1, 0.2, -0.9]), np.float32([0.01, -0.2, 0.3])]
OTHER = {
    "momentum": 0.5,
    "nesterov": True,
    "dampening": 0.3,
    "weight_decay": 0.1,
    "beta1": 0.5,
    "beta2": 0.6,
    "beta3": 0.5,
    "use_amsgrad": True,
    "clip": True,
    "schedule_decay": 0.5,
    "decay": 0.5,
    "eps": 0.1,
    "centered": True,
    "accum": 5.0,
}
NEEDS = {
    ("sgd", "nesterov"): {"momentum": 0.9},
    ("sgd", "dampening"): {"momentum": 0.9},
}  # they change momentum
ARRIVE = [(name, argument) for name, arguments in ARGUMENTS.items() for argument in sorted(arguments)]


def weight():
    return ms.Parameter(ms.Tensor(np.float32([1, 2, -3])), name="w")


@functools.cache
def after_three_updates(name, lr=0.1, **arguments):
    parameter = weight()
    optimizer = build_optimizer(name, [parameter], lr, **arguments)
    for gradient in GRADIENTS:
        optimizer((ms.Tensor(gradient),))
    return parameter.asnumpy()


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_optimizer_builds_with_one_assignable_learning_rate(name):
    optimizer = build_optimizer(name, [weight()], 0.25)
    assert isinstance(optimizer.learning_rate, ms.Parameter)
    assert float(optimizer.learning_rate) == 0.25
    optimizer.learning_rate.set_data(ms.Tensor(0.5, ms.float32))
    assert float(optimizer.learning_rate) == 0.5


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_assigned_learning_rate_is_the_one_that_is_used(name):
    parameter = weight()
    optimizer = build_optimizer(name, [parameter], 0.1)
    optimizer.learning_rate.set_data(ms.Tensor(0.0, ms.float32))
    optimizer((ms.Tensor(GRADIENTS[0]),))
    np.testing.assert_array_equal(parameter.asnumpy(), weight().asnumpy())
    optimizer.learning_rate.set_data(ms.Tensor(0.1, ms.float32))
    optimizer((ms.Tensor(GRADIENTS[0]),))
    assert (parameter.asnumpy() != weight().asnumpy()).all()


@pytest.mark.usefixtures("pynative")
@pytest.mark.parametrize(("name", "argument"), ARRIVE)
def test_every_argument_arrives(name, argument):
    needed = NEEDS.get((name, argument), {})
    plain = after_three_updates(name, **needed)
    changed = after_three_updates(name, **needed, **{argument: OTHER[argument]})
    assert np.isfinite(changed).all()
    assert not np.array_equal(plain, changed)


def test_an_unknown_optimizer_lists_and_suggests():
    with pytest.raises(UnknownNameError) as caught:
        build_optimizer("adm", [weight()], 0.1)
    assert str(caught.value) == (
        f"there is no optimizer named 'adm'. Did you mean 'adam'? Optimizers: {', '.join(sorted(ARGUMENTS))}."
    )


def test_an_argument_that_would_be_ignored_is_refused():
    with pytest.raises(RecipeError) as caught:
        build_optimizer("adam", [weight()], 0.1, beta_1=0.5)
    assert str(caught.value) == (
        "the optimizer 'adam' takes no argument 'beta_1'. Did you mean 'beta1'? It takes: "
        "beta1, beta2, use_amsgrad, weight_decay; the learning rate is optim.lr. "
        "'srtrain explain adam' describes it."
    )
    with pytest.raises(RecipeError, match=r"'momentum' takes no argument 'dampening'\. It takes: momentum, "):
        check_optimizer("momentum", {"dampening": 0.1})
    with pytest.raises(RecipeError, match=r"takes no argument 'lr'.*the learning rate is optim\.lr"):
        check_optimizer("adam", {"lr": 0.1})


def test_a_value_that_the_optimizer_refuses_says_where_it_is_from():
    with pytest.raises(RecipeError, match=r"^optim\.optimizer = 'adam' with \{'beta1': 2\.0\}: .*'beta1'"):
        build_optimizer("adam", [weight()], 0.1, beta1=2.0)


@pytest.mark.usefixtures("pynative")
@pytest.mark.parametrize(
    ("name", "moments"), [("adam", {"moment1.w", "moment2.w"}), ("momentum", {"moments.w"})]
)
def test_own_state_is_everything_but_the_weights(name, moments):
    optimizer = build_optimizer(name, [weight()], 0.1)
    optimizer((ms.Tensor(GRADIENTS[0]),))
    state = own_state(optimizer)
    assert "w" not in state
    assert moments | {"learning_rate", "global_step"} <= set(state)
    for moment in moments:
        assert state[moment].asnumpy().all()


@pytest.mark.slow
@pytest.mark.usefixtures("pynative")
@pytest.mark.parametrize("name", ARGUMENTS)
def test_own_state_and_weights_are_all_that_an_exact_continuation_needs(name):
    parameter = weight()
    optimizer = build_optimizer(name, [parameter], 0.1)
    optimizer((ms.Tensor(GRADIENTS[0]),))
    copy = weight()
    copy.set_data(ms.Tensor(parameter.asnumpy()))
    twin = build_optimizer(name, [copy], 0.1)
    for own, other in zip(own_state(twin).values(), own_state(optimizer).values(), strict=True):
        own.set_data(ms.Tensor(other.asnumpy(), own.dtype))
    for gradient in GRADIENTS[1:]:
        optimizer((ms.Tensor(gradient),))
        twin((ms.Tensor(gradient),))
    np.testing.assert_array_equal(copy.asnumpy(), parameter.asnumpy())
