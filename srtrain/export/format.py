"""The interface of an export format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from srtrain.engines.exported_file import Options
from srtrain.errors import RunFolderError, UserError, did_you_mean
from srtrain.export.formats import FORMATS

if TYPE_CHECKING:
    from mindspore import nn


class Format(ABC):
    """A kind of file that a network can be exported to. It is registered under its suffix without the dot.

    Attributes:
        engine: the registered name of the engine that checks the file; empty where nothing on this machine runs it.
    """

    engine: ClassVar[str] = ""

    def prepare(self, options: Options) -> None:  # noqa: B027 most formats refuse nothing
        """Refuse what the format cannot do, before any work is done.

        Raises:
            UserError: sizes that the format does not take.
            DeviceError: the format needs a device that is not here.
        """

    @abstractmethod
    def write(self, model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
        """Write a network.

        Args:
            model: from ``fold``; it may be changed.
            file: in a folder that nobody else writes to; further files beside it are published with it.
            about: to be stored in the file, or in the JSON beside it where the format has no place for it.
            options: the sizes; the precision is float32 here.

        Raises:
            ExportError: the network cannot be written.
        """


def check_target(target: Path, overwrite: bool) -> None:
    """Refuse a target before any work is done for it.

    Raises:
        UserError: no format has this suffix.
        RunFolderError: the file exists.
    """
    known = [f".{name}" for name in FORMATS.names()]
    if target.suffix not in known:
        raise UserError(
            f"{str(target)!r} ends in {target.suffix!r}, which is no format to export to."
            f"{did_you_mean(target.suffix, known)} Known: {', '.join(known)} (.param is ncnn's)."
        )
    if target.exists() and not overwrite:
        raise RunFolderError(f"{str(target)!r} exists. Add --overwrite to replace it.")


def format_of(target: Path) -> Format:
    """Return the format of a file's suffix."""
    made: Format = FORMATS.build(target.suffix.removeprefix("."))
    return made
