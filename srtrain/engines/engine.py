"""The interface of an engine, and the choice of an engine for a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from srtrain.arrays import Float32
from srtrain.engines import ENGINES
from srtrain.engines.memory import Memory
from srtrain.errors import CheckpointError, DeviceError, RecipeError, UnknownNameError, did_you_mean, listing

FLAGS = {"device_id": "--device-id", "provider": "--provider", "config": "--engine-config"}
"""Options of engines and how the command line writes them."""


class Engine(ABC):
    """A network that is ready to upscale.

    The module of an engine must be cheap to import: it imports what runs the network when a file is opened.

    Attributes:
        name: registered name of the engine.
        suffixes: suffixes of the files that the engine reads; empty means every file. If the engine reads no
            checkpoints,
            a checkpoint is first exported to a file with the first suffix.
        reads_folders: whether the engine reads run folders and ``step_…`` folders.
        automatic: whether ``--engine auto`` may choose the engine for its suffixes.
        package: the optional package that the engine imports; empty for none.
        install: how to install that package.
        takes: names of the options, beside the threads, that the engine accepts as keyword arguments; see ``FLAGS``.
        runs_on: the device that really computes, for the user.
        path: the file or folder that was opened.
        scale: factor by which height and width grow.
        about: the metadata of the file: ``model``, ``model_args``, ``scale``, ``recipe_hash``, ….
        input_px: the only (height, width) that the engine accepts, or ``None`` for any.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()
    reads_folders: ClassVar[bool] = False
    automatic: ClassVar[bool] = True
    package: ClassVar[str] = ""
    install: ClassVar[str] = ""
    takes: ClassVar[tuple[str, ...]] = ()
    runs_on: str = "CPU"
    path: Path
    scale: int
    about: dict[str, Any]
    input_px: tuple[int, int] | None = None

    @abstractmethod
    def __init__(self, path: Path, threads: int = 0) -> None:
        """Open a file; ``threads`` limits the number of cores, and 0 uses all.

        Raises:
            CheckpointError: the file is missing, damaged, or not for this engine.
            DeviceError: a package or a device is missing.
        """

    @abstractmethod
    def __call__(self, lq: Float32) -> Float32:
        """Map float32 NCHW RGB in [0, 255] to ``scale`` times the height and width; the output is not clipped.

        Raises:
            DataError: the engine does not accept this size.
            MemoryError: the picture is too large for this machine; use tiles.
        """

    def memory(self) -> Memory:
        """Return the memory that the engine computes in."""
        return Memory()

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Return whether the engine can open this file or folder."""
        return not cls.suffixes or path.suffix in cls.suffixes or (cls.reads_folders and path.is_dir())

    @classmethod
    def is_installed(cls) -> bool:
        """Return whether the package that the engine needs is installed."""
        return not cls.package or find_spec(cls.package) is not None


def engine_named(name: str) -> type[Engine]:
    """Return the class of an engine.

    Raises:
        UnknownNameError: no engine has that name.
        DeviceError: the package that it needs is not installed.
    """
    if name not in ENGINES:
        known = ENGINES.names()
        raise UnknownNameError(
            f"there is no engine {name!r}.{did_you_mean(name, known)} Known: auto, {listing(known)}. If a plugin "
            f"supplies it, name that plugin with --plugin."
        )
    kind: type[Engine] = ENGINES.get(name)  # type: ignore[assignment]
    if not kind.is_installed():
        raise DeviceError(
            f"the engine {name!r} needs the package {kind.package!r}, which is not installed: {kind.install}."
        )
    return kind


def check_options(kind: type[Engine], options: Mapping[str, Any]) -> None:
    """Refuse options that an engine does not take.

    Raises:
        RecipeError: there is such an option; the error names the engines that take it.
    """
    for name in options:
        if name not in kind.takes:
            others = [other for other in ENGINES.names() if name in ENGINES.get(other).takes]  # type: ignore[attr-defined]
            raise RecipeError(
                f"the engine {kind.name!r} takes no {FLAGS.get(name, name)}. Engines that take it: {listing(others)}; "
                f"choose one with --engine NAME."
            )


def engine_for(path: Path) -> str:
    """Return the name of the engine for a file or folder. Engines of active plugins come first.

    Raises:
        CheckpointError: no engine reads it.
    """
    names = [*ENGINES.additions(), *ENGINES.names()]
    kinds: dict[str, type[Engine]] = {name: ENGINES.get(name) for name in names}  # type: ignore[misc]
    for name, kind in kinds.items():
        if kind.automatic and kind.suffixes and kind.reads(path):
            return name
    suffixes = sorted({suffix for kind in kinds.values() for suffix in kind.suffixes})
    raise CheckpointError(
        f"{str(path)!r} ends in {path.suffix!r}, which no engine reads. Give a run folder, a step_… folder, or a file "
        f"ending in {', '.join(suffixes)}."
    )
