"""Open a checkpoint or an exported file for inference.

engine = open_engine("runs/edsr_x2")    # a checkpoint; it is exported once for the fastest engine
engine = open_engine("edsr_x2.onnx")    # an exported file; the suffix chooses the engine
sr = engine(lq)                         # float32 NCHW RGB in [0, 255], ``scale`` times larger
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from srtrain.engines import ENGINES
from srtrain.engines.engine import Engine, check_options, engine_for, engine_named
from srtrain.engines.exported import ExportedEngine
from srtrain.engines.foreign.ranges import parse_range
from srtrain.errors import CheckpointError, DeviceError, ExportError, RecipeError, did_you_mean, listing
from srtrain.infer.cached import cached_export
from srtrain.kernels.compile import instruction_set
from srtrain.weights.network import Network, check_network
from srtrain.zoo import located, names

CHECKPOINTS = "mindspore"
"""The engine that runs checkpoints and weights directly."""

_NONE: Mapping[str, Any] = MappingProxyType({})

FASTEST = ("native", "onnxruntime")
"""The engines that ``auto`` tries for checkpoints on a CPU, the fastest one first (docs/benchmarks.md)."""


def open_engine(
    path: str | Path,
    engine: str = "auto",
    threads: int = 0,
    value_range: str | None = None,
    options: Mapping[str, Any] = _NONE,
    scale: int | None = None,
    network: Network | None = None,
) -> Engine:
    """Open a checkpoint or an exported file.

    Args:
        path: a run folder, a checkpoint, a file that an engine reads, or the name of a built-in model.
        engine: name of the engine. ``auto`` chooses it by the suffix; for checkpoints, it chooses the fastest engine
            that
            is installed.
        threads: number of cores to use; 0 uses all.
        value_range: range of the values in an exported file of other software: ``0-255``, ``0-1``, ``-1-1``, or
            two of them for input and output, such as ``0-1:0-255``. ``None`` measures it.
        options: further options of the engine, such as ``device_id``; see ``takes`` of its class.
        scale: the scale of a network for several scales; ``None`` means the one in its recipe.
        network: the network that a file of weights of another framework is for; ``None`` for all other files.

    Raises:
        RecipeError: the range is unknown, or the file itself says its range, or the engine does not take an option, or
            the network does not have this scale.
        UnknownNameError: no engine has this name.
        CheckpointError: the file is missing, damaged, or not for this engine.
        DeviceError: the engine is not installed, or needs a device that this machine does not have.
        ExportError: the checkpoint cannot be exported for the engine that was named.
    """
    path = located(Path(path).expanduser())
    if value_range is not None:
        parse_range(value_range)
    _check_path(path)
    check_network(path, network)
    name = engine_for(path) if engine == "auto" else engine
    if name == CHECKPOINTS and engine == "auto":
        opened = _open_fastest(path, threads, options, scale, network)
    else:
        opened = _open(name, path, threads, options, value_range, scale, network)
    _check_scale(opened, path, scale)
    if value_range is not None and "foreign" not in opened.about:
        raise RecipeError(
            f"{str(path)!r} does not need a range of values ({value_range}): it is known. Leave out --range "
            f"(value_range= in Python), which is for files that other software exported."
        )
    return opened


def _check_path(path: Path) -> None:
    if not path.exists():
        raise CheckpointError(
            f"{str(path)!r} does not exist. Give a run folder, a step_… folder, a weights file, an exported file, or a "
            f"built-in model.{did_you_mean(path.name, names())} Built-in models: {listing(names())}."
        )
    if not (path.is_file() or path.is_dir()):  # reading a pipe would wait for ever
        raise CheckpointError(f"{str(path)!r} is not a regular file.")


def _check_scale(opened: Engine, path: Path, scale: int | None) -> None:
    if scale is not None and opened.scale != scale:
        raise RecipeError(
            f"--scale {scale}: {str(path)!r} is an exported file, which has the scale {opened.scale} only. Export the "
            f"checkpoint again with --scale {scale}, or leave out --scale."
        )


def is_checkpoint(path: Path) -> bool:
    """Return whether ``path`` is a checkpoint, a file of weights or a built-in model, and not an exported file."""
    return engine_named(CHECKPOINTS).reads(located(path))


def _open_fastest(
    path: Path, threads: int, options: Mapping[str, Any], scale: int | None, network: Network | None
) -> Engine:
    """Open a checkpoint with the fastest engine that can run it; on an accelerator, that is MindSpore."""
    for name in () if _on_accelerator() else FASTEST:
        if not _is_fast_here(name) or not set(options) <= set(ENGINES.get(name).takes):  # type: ignore[attr-defined]
            continue
        try:
            return _open(name, path, threads, options, scale=scale, network=network)
        except (DeviceError, ExportError) as error:
            if options and isinstance(error, DeviceError):  # of a device that was asked for
                raise
            print(f"note: {name} cannot run {str(path)!r}: {error}", file=sys.stderr)
    return _open(CHECKPOINTS, path, threads, options, scale=scale, network=network)


def _is_fast_here(name: str) -> bool:
    if name == "native":
        return instruction_set() != "portable"
    kind: type[Engine] = ENGINES.get(name)  # type: ignore[assignment]
    return kind.is_installed() and find_spec("onnx") is not None


def _on_accelerator() -> bool:
    mindspore = sys.modules.get("mindspore")
    return mindspore is not None and mindspore.get_context("device_target") != "CPU"


def _open(
    name: str,
    path: Path,
    threads: int,
    options: Mapping[str, Any],
    value_range: str | None = None,
    scale: int | None = None,
    network: Network | None = None,
) -> Engine:
    kind = engine_named(name)
    check_options(kind, options)
    file = path
    if not kind.reads(path):
        if not is_checkpoint(path):
            raise CheckpointError(
                f"the engine {name!r} cannot read {str(path)!r}: it reads {', '.join(kind.suffixes)}. The engine for "
                f"this file is {engine_for(path)!r}."
            )
        file = cached_export(path, kind.suffixes[0], threads, scale, network)
    elif name == CHECKPOINTS:
        wanted = {"scale": scale, "network": network}
        options = {**options, **{key: value for key, value in wanted.items() if value is not None}}
    if value_range is not None and issubclass(kind, ExportedEngine):
        opened: Engine = kind(file, threads, value_range, **options)
    else:
        opened = kind(file, threads, **options)
    opened.path = path
    return opened


def tell_device(engine: Engine, options: Mapping[str, Any]) -> None:
    """Print on which device a model runs, if that is not obvious: on a card, or where an option was given."""
    if options or engine.runs_on != "CPU":
        print(
            f"note: the engine {engine.name} runs {str(engine.path)!r} on {engine.runs_on}", file=sys.stderr
        )
