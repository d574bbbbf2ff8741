"""Read the header of a picture file without decoding it, and refuse a file that is cut short.

Only PNG, JPEG and BMP are supported. Some versions of OpenCV return a half-grey picture for a file that is cut short,
so this module checks that the end of the file is there. A file of 200 bytes can claim to hold 65535×65535 px; such a
claim is refused here, before a decoder reserves the memory.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from srtrain.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
# These are refused instead of ignored, so that no picture of a set is left out unnoticed.
FOREIGN_SUFFIXES = (".tif", ".tiff", ".webp", ".gif", ".jp2", ".heic", ".avif", ".ppm", ".exr")

MAX_PX = 178_956_970
"""Largest picture of a data set, in pixels: 512 MiB as 8-bit RGB. This is also the number at which Pillow gives up."""

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_MODES = {0: "grey", 2: "rgb", 3: "palette", 4: "grey+alpha", 6: "rgba"}
_JPEG_MODES = {1: "grey", 3: "rgb"}
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# A marker inside compressed JPEG data: neither a stuffed zero, nor a restart marker, nor a fill byte.
_JPEG_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)

Bytes = bytes | mmap.mmap


@dataclass(frozen=True)
class Header:
    """The stored size, colour mode and bits per channel of a picture file.

    ``exif`` says whether there is an EXIF block, which may rotate the picture. ``profile`` is the start and end of an
    embedded colour profile in the file.
    """

    kind: str
    height: int
    width: int
    mode: str
    bits: int
    exif: bool = False
    profile: tuple[int, int] | None = None

    @property
    def alpha(self) -> bool:
        """Return whether there is transparency, which training ignores."""
        return self.mode in ("rgba", "grey+alpha", "palette+alpha")


def notices(headers: dict[Path, Header]) -> list[str]:
    """Return one sentence for each kind of conversion of pictures that are not plain 8-bit RGB or grey."""
    kinds: tuple[tuple[str, Callable[[Header], bool]], ...] = (
        ("have an alpha channel, which is ignored", lambda header: header.alpha),
        ("have 16 bits a channel, which are rounded to 8", lambda header: header.bits == 16),
        ("hold an EXIF block and are turned as it asks", lambda header: header.exif),
    )
    found = []
    for what, applies in kinds:
        names = [path.name for path, header in headers.items() if applies(header)]
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            found.append(
                f"{len(names)} of {len(headers)} picture files {what}: {', '.join(names[:5])}{more}."
            )
    return found


def read_header(data: Bytes, path: Path) -> Header:
    """Read the header of a whole file.

    Raises:
        DataError: the file is empty, is not PNG, JPEG or BMP, is cut short, or has no pixels or more than ``MAX_PX``.
    """
    if len(data) == 0:
        raise DataError(f"picture {str(path)!r} is an empty file (0 bytes). Copy or download it again.")
    readers = ((_PNG_START, _png), (b"\xff\xd8", _jpeg), (b"BM", _bmp))
    for start, reader in readers:
        if data[: len(start)] == start:
            try:
                return _sized(reader(data))
            except (struct.error, IndexError, EOFError) as error:
                raise DataError(
                    f"picture {str(path)!r} is cut short: its {len(data):,} bytes do not "
                    f"include the end of the picture. Copy or download it again."
                ) from error
            except ValueError as error:
                raise DataError(f"picture {str(path)!r} cannot be used: {error}.") from error
    raise DataError(
        f"picture {str(path)!r} is no PNG, JPEG or BMP file (it starts with {bytes(data[:8])!r}). "
        f"Convert it to PNG, or remove it from the folder."
    )


def png_chunks(data: Bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each PNG chunk and the place of its content (start and end), up to and including ``IEND``.

    Raises:
        EOFError: the file ends before ``IEND`` does.
        struct.error: likewise.
    """
    name, at = b"", len(_PNG_START)
    while name != b"IEND":
        length, name = struct.unpack(">I4s", data[at : at + 8])
        if at + 12 + length > len(data):
            raise EOFError("the end of the file is missing")
        yield name, at + 8, at + 8 + length
        at += 12 + length


def _sized(header: Header) -> Header:
    """Return the header if a picture of its size can be read."""
    height, width = header.height, header.width
    if min(height, width) < 1:
        raise ValueError(f"its header claims a width of {width} px and a height of {height} px")
    if height * width > MAX_PX:
        raise ValueError(
            f"its header claims {width}×{height} px, and a picture of a data set may have at most {MAX_PX:,} pixels. "
            f"If it is really that large, cut it into parts"
        )
    return header


def _png(data: Bytes) -> Header:
    if data[12:16] != b"IHDR":
        raise ValueError("the first PNG chunk is not IHDR")
    width, height, bits, colour = struct.unpack(">IIBB", data[16:26])
    if colour not in _PNG_MODES:
        raise ValueError(f"PNG colour type {colour} does not exist")
    mode, exif, profile = _PNG_MODES[colour], False, None
    for name, start, end in png_chunks(data):
        exif = exif or name == b"eXIf"
        if name == b"iCCP":
            profile = (start - 8, end + 4)
        if name == b"tRNS":
            mode = {"grey": "grey+alpha", "rgb": "rgba", "palette": "palette+alpha"}.get(mode, mode)
    return Header("png", height, width, mode, bits, exif, profile)


def _jpeg(data: Bytes) -> Header:
    at, exif, frame = 2, False, None
    while True:
        if data[at] != 0xFF:
            raise ValueError(f"there is no JPEG marker at byte {at}, where one has to be")
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == 0xD9:
            if frame is None:
                raise ValueError("this JPEG file holds no picture")
            bits, height, width, n_colours = frame
            if n_colours not in _JPEG_MODES or bits != 8:
                raise ValueError(
                    f"it is a JPEG of {n_colours} colours (4 means CMYK) and {bits} bits; only grey and "
                    f"RGB with 8 bits are supported; convert it to RGB in an image editor"
                )
            return Header("jpeg", height, width, _JPEG_MODES[n_colours], bits, exif)
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        if marker in _JPEG_FRAMES:
            frame = struct.unpack(">BHHB", data[at + 4 : at + 10])
        exif = exif or (marker == 0xE1 and data[at + 4 : at + 8] == b"Exif")
        at += 2 + length
        if marker == 0xDA:  # compressed data follows and says nothing about its own length
            found = _JPEG_NEXT_MARKER.search(data, at)
            if found is None:
                raise EOFError
            at = found.start()


def _bmp(data: Bytes) -> Header:
    (n_bytes,) = struct.unpack("<I", data[2:6])
    width, height, _, bits = struct.unpack("<iiHH", data[18:30])
    if len(data) < n_bytes:
        raise EOFError
    mode = {1: "palette", 4: "palette", 8: "palette", 24: "rgb", 32: "rgba"}.get(bits)
    if mode is None:
        raise ValueError(f"a BMP with {bits} bits per pixel is not supported; convert it to PNG")
    return Header("bmp", abs(height), width, mode, min(bits, 8))
