"""Engines: one interface to networks, whatever runs them.

    engine = open_engine("runs/edsr_x2")         # a checkpoint, through the fastest engine that is installed
    engine = open_engine("edsr_x2.onnx")         # an exported file, through the engine of its suffix
    sr = engine(lq)                              # float32 NCHW RGB in [0, 255] → the same, ``scale`` times larger

The module of an engine is imported when it is asked for, since MindSpore alone takes seconds. An engine that reads
exported files alone gets a checkpoint exported for it, once: ``srtrain/export/cached.py``.
"""

from __future__ import annotations

import importlib
import sys
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from srtrain.arrays import Float32
from srtrain.errors import CheckpointError, DeviceError, UnknownNameError, did_you_mean, listing
from srtrain.export.types import ExportError
from srtrain.registry import ENGINES

MODULES = {
    "mindspore": "srtrain.infer.mindspore_engine",
    "mindir": "srtrain.infer.mindir_engine",
    "onnxruntime": "srtrain.infer.onnxruntime_engine",
    "ncnn": "srtrain.infer.ncnn_engine",
    "mindspore_lite": "srtrain.infer.mindspore_lite_engine",
}
"""Where the engines of this package register themselves; a plugin's engine is registered by the plugin."""

SUFFIXES = {
    ".ckpt": "mindspore",
    ".pt": "mindspore",
    ".pth": "mindspore",
    ".npz": "mindspore",
    ".safetensors": "mindspore",
    ".mindir": "mindir",
    ".onnx": "onnxruntime",
    ".param": "ncnn",
}
"""Which engine runs a file when nobody says; what ``mindspore`` runs are checkpoints, and so are folders."""

INSTALL = {
    "onnxruntime": "pip install 'srtrain[onnx]'",
    "ncnn": "pip install 'srtrain[ncnn]'",
    "mindspore_lite": "install the wheel for this device from https://www.mindspore.cn/lite; PyPI has none",
}
"""Engines whose package, of the same name, may be missing, and how to get it."""

FASTEST = "onnxruntime"
"""What ``auto`` exports a checkpoint for on a CPU (docs/benchmarks.md); where it is missing, MindSpore runs it."""


class Engine(ABC):
    """A network that is ready to upscale.

    Attributes:
        path: the file or folder it was opened from.
        scale: how many times larger the output is.
        about: what the file says of itself: ``model``, ``model_args``, ``scale``, ``recipe_hash``, ….
        input_px: the only (height, width) that it takes, or ``None`` for any.
        suffixes: of the files that it reads; an engine that names none is handed everything. A checkpoint is exported
            to the first for it, where it reads none.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()
    reads_folders: ClassVar[bool] = False
    path: Path
    scale: int
    about: dict[str, Any]
    input_px: tuple[int, int] | None = None

    @abstractmethod
    def __init__(self, path: Path, threads: int = 0) -> None:
        """Open a file; ``threads`` bounds the cores used, 0 takes all.

        Raises:
            CheckpointError: missing, broken, or not for this engine.
            DeviceError: what runs it is not installed or not on this machine.
        """

    @abstractmethod
    def __call__(self, lq: Float32) -> Float32:
        """Map float32 NCHW RGB in [0, 255] to the same at ``scale`` times the size, not clipped.

        Raises:
            DataError: a size that it does not take.
            MemoryError: the picture is too large for this machine; tiles are the way out.
        """


def open_engine(path: str | Path, engine: str = "auto", threads: int = 0) -> Engine:
    """Open a checkpoint or an exported file.

    Args:
        path: a run folder, a checkpoint, or a file that an engine reads.
        engine: its name; ``auto`` goes by the suffix, and takes the fastest that is installed for a checkpoint.
        threads: cores to use; 0 takes all.

    Raises:
        UnknownNameError: an engine that nobody registered.
        CheckpointError: missing, broken, or not for this engine.
        DeviceError: the engine is not installed or not on this machine.
        ExportError: a checkpoint that cannot be exported for the engine that was named.
    """
    path = Path(path).expanduser()
    known = sorted({*MODULES, *ENGINES.names()})
    if engine != "auto":
        if engine not in known:
            raise UnknownNameError(
                f"there is no engine {engine!r}.{did_you_mean(engine, known)} Known: auto, {listing(known)}. If a "
                f"plugin supplies it, name that plugin with --plugin."
            )
        return _open(engine, path, threads)
    if not path.is_dir() and (not path.exists() or path.suffix not in SUFFIXES):
        what = "does not exist" if not path.exists() else f"ends in {path.suffix!r}, which no engine reads"
        raise CheckpointError(
            f"{str(path)!r} {what}. Give a run folder, a step_… folder, or a file ending in {', '.join(SUFFIXES)}."
        )
    if not is_checkpoint(path):
        return _open(SUFFIXES[path.suffix], path, threads)
    return _open_fastest(path, threads)


def is_checkpoint(path: Path) -> bool:
    """Return whether ``path`` holds weights for MindSpore, and not an exported file."""
    return path.is_dir() or SUFFIXES.get(path.suffix) == "mindspore"


def is_installed(engine: str) -> bool:
    """Return whether the package that an engine needs is there."""
    return engine not in INSTALL or find_spec(engine) is not None


def _open_fastest(path: Path, threads: int) -> Engine:
    """Open a checkpoint by the fastest engine where that can run it; on an accelerator MindSpore is the one."""
    if not _on_accelerator() and is_installed(FASTEST) and find_spec("onnx"):
        try:
            return _open(FASTEST, path, threads)
        except ExportError as error:
            print(f"note: {FASTEST} cannot run {str(path)!r}: {error}", file=sys.stderr)
    return _open("mindspore", path, threads)


def _on_accelerator() -> bool:
    mindspore = sys.modules.get("mindspore")
    return mindspore is not None and mindspore.get_context("device_target") != "CPU"


def _open(engine: str, path: Path, threads: int) -> Engine:
    kind = _load(engine)
    if not path.exists():
        raise CheckpointError(
            f"{str(path)!r} does not exist. The engine {engine!r} needs a file or a run folder."
        )
    file = path if _reads(kind, path) else _exported_for(kind, path, threads)
    opened = kind(file, threads)
    opened.path = path
    return opened


def _load(engine: str) -> type[Engine]:
    """Import an engine's module; its package has to be there."""
    if not is_installed(engine):
        raise DeviceError(
            f"the engine {engine!r} needs the package {engine!r}, which is not installed: {INSTALL[engine]}."
        )
    if engine in MODULES:
        importlib.import_module(MODULES[engine])
    kind: type[Engine] = ENGINES.get(engine)  # type: ignore[assignment]
    return kind


def _reads(kind: type[Engine], path: Path) -> bool:
    return not kind.suffixes or path.suffix in kind.suffixes or (kind.reads_folders and path.is_dir())


def _exported_for(kind: type[Engine], path: Path, threads: int) -> Path:
    """Return the exported file of a checkpoint that an engine reads."""
    if not is_checkpoint(path):
        raise CheckpointError(
            f"{str(path)!r} is not for the engine {kind.name!r}, which reads {', '.join(kind.suffixes)}. What runs it "
            f"is {SUFFIXES.get(path.suffix, 'none of these engines')!r}."
        )
    from srtrain.export.cached import cached_export

    return cached_export(path, kind.suffixes[0], threads)
