"""The interface of an export format, and the checks that come before an export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from srtrain.errors import DeviceError, RunFolderError, UserError, did_you_mean
from srtrain.export.formats import FORMATS
from srtrain.export.options import Options

if TYPE_CHECKING:
    from mindspore import nn

LIMIT = 1e-3
"""Largest allowed difference, in grey levels of [0, 255]. Rounding to 8 bits changes up to 500 times as much."""


class Format(ABC):
    """A kind of file that a network can be exported to. It is registered under its suffix without the dot.

    The module of a format must be cheap to import, so that mistakes in a command line are found before MindSpore is
    loaded. Import whatever writes the file inside ``write``.

    Attributes:
        engine: registered name of the engine that checks the file; empty if no engine on this machine runs it.
        packages: what must be installed to write the format.
        precisions: the precisions that the format can hold.
        limit: largest allowed difference from the checkpoint, in grey levels.
        target: MindSpore's name of the device that writes the format.
        plain: whether files keep the linear end of a network as it is, because the format or its engine lacks
            operators that ``CollapsedEnd`` needs.
    """

    engine: ClassVar[str] = ""
    packages: ClassVar[tuple[str, ...]] = ()
    precisions: ClassVar[tuple[str, ...]] = ("float32",)
    limit: ClassVar[float] = LIMIT
    target: ClassVar[str] = "CPU"
    plain: ClassVar[bool] = False

    def prepare(self, options: Options) -> None:  # noqa: B027 most formats need nothing
        """Check the options and look for the device that the format needs, before any work is done.

        Raises:
            UserError: sizes that the format does not support.
            DeviceError: the format needs a device that this machine does not have.
        """

    def fold(self, model: nn.Cell, plain: bool) -> nn.Cell:
        """Return the network that ``write`` gets, which computes the same.

        Args:
            model: may be changed.
            plain: whether the linear end stays as it is.
        """
        from srtrain.export.fold import fold

        return fold(model, plain)

    @abstractmethod
    def write(self, model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
        """Write a network.

        Args:
            model: the network; it may be changed.
            file: the file to write, in a private folder. Other files written beside it are published with it.
            about: description of the network. Store it in the file, or in the JSON beside it if the format has no place
                for metadata.
            options: the sizes; the precision is float32 here.

        Raises:
            ExportError: the network cannot be written in this format.
        """


def prepared_format(target: Path, options: Options, overwrite: bool) -> Format:
    """Check the target and the options of an export, and return the format that will write it.

    MindSpore is not loaded, except for AIR, which needs it to find the device.

    Raises:
        UserError: no format has this suffix, or the format does not support the options.
        RunFolderError: the file exists and may not be replaced.
        DeviceError: the format needs a device or a package that this machine does not have.
    """
    if options.program:
        options.program.check(target)
        target = options.program.placed(target)
    known = [f".{name}" for name in FORMATS.names()]
    if target.suffix not in known:
        raise UserError(
            f"{str(target)!r} ends in {target.suffix!r}, which is not an export format."
            f"{did_you_mean(target.suffix, known)} Known: {', '.join(known)} (.param is ncnn's)."
        )
    if target.exists() and not overwrite:
        raise RunFolderError(f"{str(target)!r} exists. Add --overwrite to replace it.")
    chosen: Format = FORMATS.build(target.suffix.removeprefix("."))
    if options.precision not in chosen.precisions:
        raise UserError(
            f"{target.suffix} files cannot be written in {options.precision}, only in {', '.join(chosen.precisions)}: "
            f"use --precision {chosen.precisions[0]}, or another suffix (.onnx holds every precision)."
        )
    if missing := [package for package in chosen.packages if find_spec(package) is None]:
        raise DeviceError(
            f"{target.suffix} files cannot be written without the {'package' if len(missing) == 1 else 'packages'} "
            f"{', '.join(missing)}: pip install 'srtrain[{'ncnn' if 'ncnn' in chosen.packages else 'onnx'}]'."
        )
    chosen.prepare(options)
    return chosen
