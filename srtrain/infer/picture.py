"""Read and write picture files for inference. Grey, alpha, 16 bits and colour profiles are kept.

Data sets are read by ``srtrain/data/picture.py`` instead, which converts every file to 8-bit RGB.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from srtrain.data.picture import cannot_read, check_regular, to_8_bits
from srtrain.errors import DataError, first_line
from srtrain.infer.png import Stripped, strip, with_profile
from srtrain.infer.tiff import read_tiff

FORMATS = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".bmp": "bmp",
}
"""Format of a picture file, by suffix."""

_OF_PILLOW = {"PNG": "png", "JPEG": "jpeg", "MPO": "jpeg", "WEBP": "webp", "TIFF": "tiff", "BMP": "bmp"}
_FORMATS_OF_PILLOW = ("JPEG", "WEBP", "BMP", "TIFF")  # TIFF with JPEG inside
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_START = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112
_BMP_HEADER_BYTES = 40  # older headers are shorter and have other fields
_AS_THEY_ARE = ("L", "LA", "RGB", "RGBA")
_PROCESS_BYTES = 500_000_000
_CHANNELS_BYTES = {"1": 1, "L": 1, "P": 4, "LA": 2, "RGB": 3, "I;16": 2, "I;16B": 2}

Pixels = NDArray[Any]
"""uint8 or uint16: HW grey, or HWC with grey and alpha, RGB, or RGBA."""


@dataclass(frozen=True)
class Picture:
    """The content of a picture file.

    Attributes:
        pixels: uint8 or uint16; HW grey, or HWC with 2 (grey and alpha), 3 (RGB) or 4 channels (RGBA).
        format: a value of ``FORMATS``.
        profile: the embedded ICC profile.
    """

    pixels: Pixels
    format: str
    profile: bytes | None = None


@dataclass(frozen=True)
class Room:
    """How large a picture may be: its pixels, one copy of them and its output have to fit into memory.

    Attributes:
        n_bytes: the memory, in bytes.
        scale: factor by which the picture will be enlarged.
    """

    n_bytes: int
    scale: int

    def check(self, height: int, width: int, bytes_per_px: int) -> None:
        """Compare the size in a header with the memory.

        Raises:
            DataError: the picture is too large, or has no pixels; the message has no file name.
        """
        if min(height, width) < 1:
            raise DataError(f"claims a width of {width} px and a height of {height} px; the file is damaged.")
        n_bytes = height * width * bytes_per_px
        needed = n_bytes * (2 + self.scale**2)
        if needed > self.n_bytes:
            # What `Model.upscale` holds, the process itself and a few tiles.
            enough = n_bytes * (2 + 2.5 * self.scale**2) + _PROCESS_BYTES
            raise DataError(
                f"claims {width}×{height} px. The picture and its output at x{self.scale} need "
                f"{needed / 1e9:.1f} GB, but --memory allows {self.n_bytes / 1e9:.2g} GB. If it is really that large, "
                f"add --memory {math.ceil(enough / 1e9)}GB."
            )


DEFAULT_ROOM = Room(1_500_000_000, 2)


def read_picture(path: Path, room: Room = DEFAULT_ROOM) -> Picture:
    """Read a picture file.

    Raises:
        DataError: the file cannot be read or decoded; see `decode_picture`.
    """
    check_regular(path)
    try:
        n_bytes = path.stat().st_size
        if n_bytes > room.n_bytes:
            raise DataError(
                f"{str(path)!r} has {n_bytes:,} bytes, more than --memory allows ({room.n_bytes:,})."
            )
        data = path.read_bytes()
    except OSError as error:
        raise cannot_read(path, error) from error
    return decode_picture(data, str(path), room)


def decode_picture(data: bytes, name: str, room: Room = DEFAULT_ROOM) -> Picture:
    """Decode PNG, JPEG, WebP, TIFF or BMP, and apply the EXIF orientation.

    Palettes become RGB or RGBA, and 1 bit becomes 8 bits. The size in the header is checked before anything is decoded.

    Args:
        data: the bytes of the file.
        name: name of the file, for messages.
        room: the largest size.

    Raises:
        DataError: another format, a damaged or incomplete file, a picture that is too large, several pictures in one
            file, or unsupported colours (CMYK, Lab, floating point).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata; real problems are errors
            if data[:4] in _TIFF_STARTS and (found := read_tiff(data, room.check)) is not None:
                pixels, orientation, profile = found
                return Picture(np.ascontiguousarray(_turned(pixels, orientation)), "tiff", profile)
            if data[:8] == _PNG_START:
                return _decode_png(strip(data), room)
            if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
                room.check(*_webp_size(data), 4)  # Pillow reserves the memory when it opens the file
            if data[:2] == b"BM":
                _check_bmp(data)
            with Image.open(io.BytesIO(data), formats=_FORMATS_OF_PILLOW) as image:
                return _decode(image, room)
    except UnidentifiedImageError as error:
        start = "is empty" if not data else f"starts with {data[:8]!r}"
        raise DataError(
            f"{name!r} is not a PNG, JPEG, WebP, TIFF or BMP picture, or its beginning is damaged: it {start}."
        ) from error
    except DataError as error:
        raise DataError(f"{name!r} {error}") from error
    except Image.DecompressionBombError as error:  # infer checks the size itself and turns this check off
        raise DataError(f"{name!r} is larger than Pillow decodes: {first_line(error)}") from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise errors of every type for damaged files
        reason = first_line(error).rstrip(".")
        raise DataError(
            f"{name!r} cannot be decoded: {reason}. The file is damaged; copy or download it again."
        ) from error


def _decode(image: Image.Image, room: Room) -> Picture:
    room.check(image.height, image.width, _CHANNELS_BYTES.get(image.mode, 4))
    n_frames = getattr(image, "n_frames", 1)
    if n_frames > 1 and image.format != "MPO":  # MPO files of phones are a JPEG followed by a preview
        raise DataError(f"contains {n_frames} pictures; save the one you want as a separate file.")
    image.load()  # decodes everything, so an incomplete file is found here
    orientation = image.getexif().get(_ORIENTATION, 1)  # Pillow has already turned a TIFF, and says so
    turned = _turned(_pixels(image), orientation)
    return Picture(np.ascontiguousarray(turned), _OF_PILLOW[str(image.format)], image.info.get("icc_profile"))


def _decode_png(png: Stripped, room: Room) -> Picture:
    if png.n_frames > 1:
        raise DataError(f"contains {png.n_frames} pictures; save the one you want as a separate file.")
    with Image.open(io.BytesIO(png.data), formats=["PNG"]) as image:
        bytes_per_px = (4 if png.key or png.colour == 3 else len(image.getbands())) * (
            2 if png.bits == 16 else 1
        )
        room.check(image.height, image.width, bytes_per_px)
        image.load()
        pixels = _deep_pixels(png) if png.bits == 16 else _pixels(image)
        turned = _turned(png.with_key(pixels), image.getexif().get(_ORIENTATION, 1))
        return Picture(np.ascontiguousarray(turned), "png", png.profile)


def _check_bmp(data: bytes) -> None:
    """Refuse a negative width, which Pillow takes for a very large one; a negative height is allowed."""
    n_header, width = struct.unpack("<Ii", data[14:22])
    if n_header >= _BMP_HEADER_BYTES and width < 1:
        raise DataError(f"claims a width of {width} px; the file is damaged.")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return (height, width) from the header of a WebP file."""
    kind, content = data[12:16], data[20:30]
    if len(content) < 10:
        raise EOFError("the file ends in its header")
    if kind == b"VP8X":
        return 1 + int.from_bytes(content[7:10], "little"), 1 + int.from_bytes(content[4:7], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(content[1:5], "little")
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    width, height = struct.unpack("<HH", content[6:10])
    return height & 0x3FFF, width & 0x3FFF


def _pixels(image: Image.Image) -> Pixels:
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode == "PA":
        image = image.convert("RGBA")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in _AS_THEY_ARE:
        raise DataError(
            f"has colours of the kind {image.mode!r}; supported are grey and RGB of 8 or 16 bits, with or "
            f"without alpha. Convert it in an image editor (CMYK needs its colour profile for that)."
        )
    return np.asarray(image)


def _deep_pixels(png: Stripped) -> Pixels:
    """Return the uint16 pixels of a PNG, of which Pillow would drop 8 bits."""
    decoded = cv2.imdecode(np.frombuffer(png.data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ValueError("its 16-bit data is damaged")
    if decoded.ndim == 2:
        return decoded
    if decoded.shape[2] == 3:
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    if png.colour == 4:  # OpenCV gives grey as three equal channels beside the alpha
        return decoded[..., 2:]
    return cv2.cvtColor(decoded, cv2.COLOR_BGRA2RGBA)


def _turned(pixels: Pixels, orientation: int) -> Pixels:
    """Apply the EXIF tag Orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)  # this is orientation 5; the others also mirror it
    down = -1 if orientation in (3, 4, 7, 8) else 1
    across = -1 if orientation in (2, 3, 6, 7) else 1
    return pixels[::down, ::across]


def encode_picture(picture: Picture, quality: int = 95) -> bytes:
    """Return the bytes of a file in the picture's format.

    JPEG, WebP and BMP store 8 bits, so 16 bits are rounded. BMP stores no colour profile.

    Args:
        picture: the picture to write.
        quality: quality of JPEG and WebP, 1 to 100; a WebP of quality 100 is lossless.

    Raises:
        DataError: JPEG and BMP cannot store alpha, or the picture is larger than its format allows.
    """
    pixels, kind = picture.pixels, picture.format
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4) and kind in ("jpeg", "bmp"):
        if (pixels[..., -1] == np.iinfo(pixels.dtype).max).all():  # nothing is lost without it
            opaque = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]
            return encode_picture(replace(picture, pixels=opaque), quality)
        raise DataError(
            f"the picture has alpha, which {kind.upper()} cannot store. Use --format png, webp or tiff."
        )
    if pixels.dtype == np.uint16:
        if kind in ("png", "tiff"):
            return (_deep_png if kind == "png" else _deep_tiff)(picture)
        pixels = to_8_bits(pixels)
    choices: dict[str, dict[str, Any]] = {
        "png": {"compress_level": 1},  # level 6 takes three times as long and saves a sixth
        "jpeg": {"quality": quality, "subsampling": 0},  # full colour resolution, to keep the detail
        "webp": {"quality": quality, "lossless": quality == 100, "method": 2},
        "tiff": {"compression": "tiff_lzw"},
        "bmp": {},
    }
    options = choices[kind]
    if picture.profile is not None and kind != "bmp":
        options["icc_profile"] = picture.profile
    file = io.BytesIO()
    try:
        Image.fromarray(pixels).save(file, kind.upper(), **options)
    except (OSError, ValueError) as error:
        height, width = pixels.shape[:2]
        raise DataError(f"{width}×{height} px cannot be written as {kind.upper()}: {error}.") from error
    return file.getvalue()


def _deep_png(picture: Picture) -> bytes:
    pixels = _with_colours(picture.pixels)
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    done, encoded = cv2.imencode(".png", pixels)
    if not done:
        raise DataError(f"{pixels.dtype} {pixels.shape} cannot be written as PNG.")
    data = encoded.tobytes()
    return data if picture.profile is None else with_profile(data, picture.profile)


def _deep_tiff(picture: Picture) -> bytes:
    import tifffile  # takes 0.1 s

    pixels = _with_colours(picture.pixels)
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        pixels,
        photometric="minisblack" if pixels.ndim == 2 else "rgb",
        extrasamples=["unassalpha"] if pixels.ndim == 3 and pixels.shape[2] == 4 else None,
        compression="zlib",
        predictor=True,
        rowsperstrip=64,
        iccprofile=picture.profile,
        metadata=None,
    )
    return file.getvalue()


def _with_colours(pixels: Pixels) -> Pixels:
    """Return grey with alpha as RGBA, because few programs read 16-bit grey with alpha."""
    return pixels[..., [0, 0, 0, 1]] if pixels.ndim == 3 and pixels.shape[2] == 2 else pixels
