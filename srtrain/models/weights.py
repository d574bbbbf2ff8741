"""Weights alone, from a checkpoint into a network: what ``init_from`` does. (Resume restores everything.)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
from mindspore import nn

from srtrain.errors import CheckpointError
from srtrain.models.parameters import put


@dataclass(frozen=True)
class LoadReport:
    """Which Parameters were loaded, which of the file were skipped, which kept their first values."""

    file: Path
    loaded: tuple[str, ...]
    skipped: tuple[str, ...]
    initialised: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"weights from {self.file}: {len(self.loaded)} loaded"]
        for label, names in (("skipped", self.skipped), ("left as initialised", self.initialised)):
            lines.append(f"  {label}: {', '.join(names) or '(none)'}")
        return "\n".join(lines)


def load_weights(model: nn.Cell, file: Path, about: Mapping[str, object], scale: int) -> LoadReport:
    """Copy weights into a network of the same kind, at the same scale or another.

    At the same scale everything must fit. At another, the Parameters under the network's
    ``scale_dependent`` prefixes keep their initialisation and everything else must fit.

    Args:
        model: gets the weights.
        file: a MindSpore ``.ckpt``.
        about: what the checkpoint says of itself, as far as it does (``model``, ``scale``).
        scale: that of ``model``.

    Raises:
        CheckpointError: another architecture, or a body that does not fit.
    """
    weights = _read(file)
    prefixes: tuple[str, ...] = getattr(model, "scale_dependent", ())
    other_scale = about["scale"] != scale if "scale" in about else _differs(model, weights, prefixes)
    left = prefixes if other_scale else ()
    loaded, problems = [], []
    for name, parameter in model.parameters_dict().items():
        if left and name.startswith(left):
            continue
        if name not in weights:
            problems.append(f"{name} is missing")
        elif tuple(weights[name].shape) != tuple(parameter.shape):
            problems.append(f"{name} is {tuple(weights[name].shape)} instead of {tuple(parameter.shape)}")
        else:
            loaded.append(name)
    known = model.parameters_dict()
    skipped = [name for name in weights if name not in loaded]
    unknown = [name for name in skipped if name not in known and not (left and name.startswith(left))]
    problems += [f"{name} is unknown here" for name in unknown]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise CheckpointError(
            f"the weights in {file} ({_describe(about)}) do not fit this network: {'; '.join(problems[:5])}{more}."
        )
    for name in loaded:
        put(known[name], weights[name].asnumpy())
    return LoadReport(file, tuple(loaded), tuple(skipped), tuple(n for n in known if n not in loaded))


def _differs(model: nn.Cell, weights: dict[str, ms.Parameter], prefixes: tuple[str, ...]) -> bool:
    """Return whether the scale-dependent part of a file is another one, for files that do not name a scale."""
    own = {n: tuple(p.shape) for n, p in model.parameters_dict().items() if n.startswith(prefixes)}
    theirs = {n: tuple(p.shape) for n, p in weights.items() if n.startswith(prefixes)}
    return bool(prefixes) and own != theirs


def _read(file: Path) -> dict[str, ms.Parameter]:
    try:
        return dict(ms.load_checkpoint(str(file)))
    except (ValueError, RuntimeError, OSError, TypeError) as error:
        raise CheckpointError(f"{str(file)!r} is not a MindSpore checkpoint that can be read.") from error


def _describe(about: Mapping[str, object]) -> str:
    if "model" not in about:
        return "a file that does not say what it holds"
    return f"{about['model']} x{about.get('scale')}"
