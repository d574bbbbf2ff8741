"""Engines: one interface to networks, whatever runs them.

    engine = open_engine("runs/edsr_x2")         # a checkpoint, through MindSpore
    engine = open_engine("edsr_x2.onnx")         # an exported file, through the engine of its suffix
    sr = engine(lq)                              # float32 NCHW RGB in [0, 255] → the same, ``scale`` times larger

The module of an engine is imported when it is asked for, since MindSpore alone takes seconds.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from srtrain.arrays import Float32
from srtrain.errors import CheckpointError
from srtrain.registry import ENGINES

MODULES = {
    "mindspore": "srtrain.infer.mindspore_engine",
}
"""Where the engines of this package register themselves; a plugin's engine is registered by the plugin."""

SUFFIXES = {
    ".ckpt": "mindspore",
    ".pt": "mindspore",
    ".pth": "mindspore",
    ".npz": "mindspore",
    ".safetensors": "mindspore",
}
"""Which engine runs a file when nobody says; folders are runs and checkpoints, which MindSpore runs."""


class Engine(ABC):
    """A network that is ready to upscale.

    Attributes:
        path: the file or folder it was opened from.
        scale: how many times larger the output is.
        about: what the file says of itself: ``model``, ``model_args``, ``scale``, ``recipe_hash``, ….
        input_px: the only (height, width) that it takes, or ``None`` for any.
    """

    name: ClassVar[str]
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
        """Map float32 NCHW RGB in [0, 255] to the same at ``scale`` times the size, not clipped."""


def open_engine(path: str | Path, engine: str = "auto", threads: int = 0) -> Engine:
    """Open a checkpoint or an exported file.

    Args:
        path: a run folder, a checkpoint, or a file that an engine reads.
        engine: its name; ``auto`` goes by the suffix.
        threads: cores to use; 0 takes all.

    Raises:
        UnknownNameError: an engine that nobody registered.
        CheckpointError: missing, broken, or not for this engine.
    """
    path = Path(path).expanduser()
    if engine == "auto":
        if path.suffix not in SUFFIXES and not path.is_dir():
            what = (
                "does not exist" if not path.exists() else f"ends in {path.suffix!r}, which no engine reads"
            )
            raise CheckpointError(
                f"{str(path)!r} {what}. Give a run folder, a step_… folder, or a file ending in "
                f"{', '.join(SUFFIXES)}."
            )
        engine = SUFFIXES.get(path.suffix, "mindspore")
    if engine in MODULES:
        importlib.import_module(MODULES[engine])
    opened: Engine = ENGINES.get(engine)(path, threads)
    return opened
