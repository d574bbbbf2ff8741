"""Read a picture file as RGB, write one as PNG: right, or refused with the file's name, never in between."""

from __future__ import annotations

import errno
import mmap
import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from srtrain.arrays import UInt8
from srtrain.data.header import Header, read_header
from srtrain.errors import DataError, SrtrainError, cannot
from srtrain.files import write_whole

_DECODE = (
    cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
)  # keeps 16 bits and grey, drops alpha, obeys the EXIF turn

_BAND_PX = 64  # rows that are rounded at a time, because rounding makes several copies


def read_rgb(path: Path) -> UInt8:
    """Read a picture as uint8 HWC RGB, turned as its EXIF block asks.

    Grey becomes three equal channels, a palette its colours, 16 bits are rounded to 8 (``x / 257``), alpha
    is dropped. `read_header` tells which of these a file needs.

    Raises:
        DataError: the file is missing, empty, cut short, damaged, no picture, too large, or a CMYK JPEG.
    """
    data = _read_bytes(path)
    header = read_header(data, path)
    picture = _decode(data, header, path)
    if picture.dtype == np.uint16:
        picture = to_8_bits(picture)
    if picture.dtype != np.uint8:
        raise DataError(f"picture {str(path)!r} has {picture.dtype} values; 8 and 16 bit are supported.")
    to_rgb = cv2.COLOR_GRAY2RGB if picture.ndim == 2 else cv2.COLOR_BGR2RGB
    rgb: UInt8 = cv2.cvtColor(picture, to_rgb)
    if not header.exif and rgb.shape[:2] != (header.height, header.width):
        raise DataError(
            f"picture {str(path)!r} has {header.width}×{header.height} px in its header but decodes to "
            f"{rgb.shape[1]}×{rgb.shape[0]} px; it is damaged. Copy or download it again."
        )
    return rgb


def read_grey(path: Path) -> UInt8:
    """Read the brightness of a picture, Y of BT.601 in [0, 255], as uint8 HWC with three equal channels.

    A grey file keeps its values.

    Raises:
        DataError: as `read_rgb`.
    """
    return as_grey(read_rgb(path))


def as_grey(rgb: UInt8) -> UInt8:
    """Return the brightness of uint8 HWC RGB as three equal channels."""
    grey: UInt8 = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return grey


def to_8_bits(picture: NDArray[np.generic]) -> UInt8:
    """Round uint16 values over their whole range to uint8: ``x / 257``."""
    rounded = np.empty(picture.shape, np.uint8)
    for row in range(0, len(picture), _BAND_PX):
        band = picture[row : row + _BAND_PX].astype(np.uint32)
        rounded[row : row + _BAND_PX] = (band + 128) // 257
    return rounded


def look(path: Path) -> Header:
    """Read what a picture file says about itself, without decoding it.

    Raises:
        DataError: the file is missing, empty, cut short, no picture, or a CMYK JPEG.
    """
    check_regular(path)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return read_header(b"", path)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                return read_header(view, path)
    except OSError as error:
        raise cannot_read(path, error) from error


def size_of(path: Path, header: Header | None = None) -> tuple[int, int]:
    """Return (height, width) as `read_rgb` would give them; decodes only where an EXIF turn is possible.

    Raises:
        DataError: as `read_rgb`.
    """
    header = header or look(path)
    if header.exif:
        height, width = read_rgb(path).shape[:2]
        return height, width
    return header.height, header.width


def write_png(path: Path, rgb: UInt8) -> None:
    """Write a uint8 HWC RGB (or HW grey) picture; the file appears whole or not at all.

    Raises:
        DataError: the folder is missing or cannot be written.
        MachineError: the disk is full.
    """
    if rgb.dtype != np.uint8 or rgb.ndim not in (2, 3) or (rgb.ndim == 3 and rgb.shape[2] != 3):
        raise ValueError(f"write_png expects uint8 HWC RGB or HW grey, got {rgb.dtype} {rgb.shape}")
    bgr = rgb if rgb.ndim == 2 else cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".png", bgr)
    if not done:
        raise DataError(f"picture {str(path)!r} of shape {rgb.shape} cannot be encoded as PNG.")
    write_bytes(path, encoded.tobytes())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file completely or not at all.

    Raises:
        DataError: the folder is missing or cannot be written.
        MachineError: the disk is full.
    """
    try:
        write_whole(path, data)
    except OSError as error:
        raise cannot_write(path, error) from error


def check_regular(path: Path) -> None:
    """Refuse what has the name of a picture and is no file.

    Raises:
        DataError: a link that leads nowhere, a folder, or a pipe, which would block.
    """
    if path.is_file():
        return
    if path.is_dir():
        reason = "it is a folder"
    elif path.is_symlink():
        reason = f"it is a link to {str(path.readlink())!r}, which does not exist"
    elif path.exists():
        reason = "it is not a regular file"
    else:
        reason = os.strerror(errno.ENOENT)
    raise DataError(f"cannot read picture {str(path)!r}: {reason}.")


def _read_bytes(path: Path) -> bytes:
    check_regular(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise cannot_read(path, error) from error


def cannot_read(path: Path, error: OSError) -> DataError:
    """Say that a picture cannot be read, and why."""
    return DataError(f"cannot read picture {str(path)!r}: {error.strerror or error}.")


def cannot_write(path: Path, error: OSError) -> SrtrainError:
    """Say that a file or folder cannot be written, and why: a ``MachineError`` if the disk is full."""
    return cannot(f"cannot write {str(path)!r}", error, kind=DataError)


def _decode(data: bytes, header: Header, path: Path) -> NDArray[np.generic]:
    if header.profile is not None:
        # OpenCV ignores colour profiles, but libpng prints a warning for each that it finds odd.
        data = data[: header.profile[0]] + data[header.profile[1] :]
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), _DECODE)
    except cv2.error as error:
        raise DataError(f"picture {str(path)!r} cannot be decoded: {error}.") from error
    if picture is None:
        raise DataError(
            f"picture {str(path)!r} cannot be decoded: the {header.kind.upper()} data inside is damaged. "
            f"Copy or download it again."
        )
    return picture
