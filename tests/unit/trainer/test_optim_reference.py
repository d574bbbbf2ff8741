"""After 50 updates, every optimizer is where its formula leads, written out in float64.

The formulas are those of PyTorch, or of the paper where PyTorch has none (docs/optimizers.md). The learning rate
changes half-way, because some implementations differ only then.
"""

import mindspore as ms
import numpy as np
import pytest

from srtrain.trainer.optim import ARGUMENTS, build_optimizer

STEPS, EPS = 50, 1e-8
SHAPES = ((4, 3), (5,))


def sgd(w, g, t, lr, s, weight_decay=0.0, momentum=0.0, dampening=0.0, nesterov=False):
    """``torch.optim.SGD``."""
    g = g + weight_decay * w
    s["v"] = g if t == 1 else momentum * s["v"] + (1 - dampening) * g
    if momentum:
        g = g + momentum * s["v"] if nesterov else s["v"]
    return w - lr * g


def nesterov(w, g, t, lr, s, momentum=0.9, weight_decay=0.0):
    """``torch.optim.SGD`` with ``nesterov=True``."""
    return sgd(w, g, t, lr, s, weight_decay, momentum, nesterov=True)


def momentum(w, g, t, lr, s, momentum=0.9, weight_decay=0.0):
    """``torch.optim.SGD`` with momentum."""
    return sgd(w, g, t, lr, s, weight_decay, momentum)


def moments(g, t, s, beta1, beta2):
    """The running means of Adam, without and with the correction of their bias."""
    s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g**2
    return s["m"] / (1 - beta1**t), s["v"] / (1 - beta2**t)


def adam(w, g, t, lr, s, weight_decay=0.0, beta1=0.9, beta2=0.999, use_amsgrad=False):
    """``torch.optim.Adam``."""
    m, v = moments(g + weight_decay * w, t, s, beta1, beta2)
    if use_amsgrad:
        s["max"] = np.maximum(s.get("max", 0), s["v"])
        v = s["max"] / (1 - beta2**t)
    return w - lr * m / (np.sqrt(v) + EPS)


def adamw(w, g, t, lr, s, weight_decay=0.0, beta1=0.9, beta2=0.999):
    """``torch.optim.AdamW``."""
    m, v = moments(g, t, s, beta1, beta2)
    return w * (1 - lr * weight_decay) - lr * m / (np.sqrt(v) + EPS)


def lion(w, g, t, lr, s, weight_decay=0.0, beta1=0.9, beta2=0.99):
    """Chen et al. 2023, algorithm 2."""
    m = s.get("m", 0)
    s["m"] = beta2 * m + (1 - beta2) * g
    return w - lr * (np.sign(beta1 * m + (1 - beta1) * g) + weight_decay * w)


def nadam(w, g, t, lr, s, weight_decay=0.0, beta1=0.9, beta2=0.999, schedule_decay=4e-3):
    """``torch.optim.NAdam``."""
    g = g + weight_decay * w
    _, v = moments(g, t, s, beta1, beta2)
    mu, after = (beta1 * (1 - 0.5 * 0.96 ** (n * schedule_decay)) for n in (t, t + 1))
    s["mu"] = s.get("mu", 1) * mu
    step = (1 - mu) * g / (1 - s["mu"]) + after * s["m"] / (1 - s["mu"] * after)
    return w - lr * step / (np.sqrt(v) + EPS)


def adan(w, g, t, lr, s, weight_decay=0.0, beta1=0.98, beta2=0.92, beta3=0.99):
    """The code of Adan's authors."""
    change = g - s.get("g", g)
    s["g"] = g
    s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    s["d"] = beta2 * s.get("d", 0) + (1 - beta2) * change
    s["n"] = beta3 * s.get("n", 0) + (1 - beta3) * (g + beta2 * change) ** 2
    step = s["m"] / (1 - beta1**t) + beta2 * s["d"] / (1 - beta2**t)
    return (w - lr * step / (np.sqrt(s["n"] / (1 - beta3**t)) + EPS)) / (1 + lr * weight_decay)


def rmsprop(w, g, t, lr, s, weight_decay=0.0, decay=0.99, momentum=0.0, centered=False, eps=EPS):
    """``torch.optim.RMSprop``, whose ``alpha`` is ``decay``."""
    g = g + weight_decay * w
    s["v"] = decay * s.get("v", 0) + (1 - decay) * g**2
    s["m"] = decay * s.get("m", 0) + (1 - decay) * g
    step = g / (np.sqrt(s["v"] - centered * s["m"] ** 2) + eps)
    s["step"] = momentum * s.get("step", 0) + step
    return w - lr * s["step"]


def adagrad(w, g, t, lr, s, weight_decay=0.0, accum=0.0):
    """``torch.optim.Adagrad``."""
    g = g + weight_decay * w
    s["sum"] = s.get("sum", accum) + g**2
    return w - lr * g / (np.sqrt(s["sum"]) + 1e-10)


def lamb(w, g, t, lr, s, weight_decay=0.0, beta1=0.9, beta2=0.999):
    """You et al. 2019, algorithm 2, without a bound on the length of a weight."""
    m, v = moments(g, t, s, beta1, beta2)
    step = m / (np.sqrt(v) + 1e-6) + weight_decay * w
    return w - lr * np.linalg.norm(w) / np.linalg.norm(step) * step


REFERENCES = {f.__name__: f for f in (sgd, momentum, nesterov, adam, adamw, lion, nadam, adan, rmsprop)}
REFERENCES |= {"adagrad": adagrad, "lamb": lamb}
CASES = [(name, {}) for name in REFERENCES] + [(name, {"weight_decay": 0.1}) for name in REFERENCES]
CASES += [
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1}),
    ("sgd", {"momentum": 0.8, "nesterov": True}),
    ("sgd", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    ("adam", {"use_amsgrad": True, "beta2": 0.9}),
    ("nadam", {"schedule_decay": 0.5, "beta1": 0.8, "beta2": 0.95}),
    ("adan", {"beta1": 0.9, "beta2": 0.8, "beta3": 0.95, "weight_decay": 0.2}),
    ("rmsprop", {"momentum": 0.9, "decay": 0.9}),
    ("rmsprop", {"momentum": 0.5, "centered": True, "weight_decay": 0.1, "eps": 1e-3}),
    ("adagrad", {"accum": 0.1}),
]


def test_every_optimizer_has_a_reference():
    assert set(REFERENCES) == set(ARGUMENTS)


@pytest.mark.slow
@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize(
    ("name", "arguments"), CASES, ids=[f"{n}-{'-'.join(a) or 'plain'}" for n, a in CASES]
)
def test_fifty_updates_are_those_of_the_reference(name, arguments):
    random = np.random.default_rng(7)
    start = [random.normal(size=shape).astype(np.float32) for shape in SHAPES]
    weights = [ms.Parameter(ms.Tensor(w), name=f"w{i}") for i, w in enumerate(start)]
    optimizer = build_optimizer(name, weights, 0.01, **arguments)
    wanted, states = [w.astype(np.float64) for w in start], [{}, {}]
    for t in range(1, STEPS + 1):
        lr = 0.01 if t <= STEPS // 2 else 0.004
        optimizer.learning_rate.set_data(ms.Tensor(lr, ms.float32))
        gradients = [random.normal(0.3, 1 + t / 20, shape).astype(np.float32) for shape in SHAPES]
        optimizer(tuple(map(ms.Tensor, gradients)))
        for i, g in enumerate(gradients):
            wanted[i] = REFERENCES[name](wanted[i], g.astype(np.float64), t, lr, states[i], **arguments)
    for weight, reference, before in zip(weights, wanted, start, strict=True):
        moved = np.abs(reference - before).max()
        np.testing.assert_allclose(weight.asnumpy(), reference, rtol=0, atol=2e-5 * moved + 2e-6)
