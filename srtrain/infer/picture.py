"""Read and write picture files for inference. Grey, alpha, 16 bits and colour profiles are kept.

Data sets are read by ``srtrain/data/picture.py`` instead, which converts every file to 8-bit RGB.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from srtrain.data.picture import cannot_read
from srtrain.errors import DataError

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
_ORIENTATION, _BITS_PER_SAMPLE, _TIFF_PROFILE = 0x0112, 258, 34675
_AS_THEY_ARE = ("L", "LA", "RGB", "RGBA")

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


def read_picture(path: Path) -> Picture:
    """Read a picture file.

    Raises:
        DataError: the file cannot be read or decoded; see `decode_picture`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise cannot_read(path, error) from error
    return decode_picture(data, str(path))


def decode_picture(data: bytes, name: str) -> Picture:
    """Decode PNG, JPEG, WebP, TIFF or BMP, and apply the EXIF orientation.

    Palettes become RGB or RGBA, and 1 bit becomes 8 bits.

    Args:
        data: the bytes of the file.
        name: name of the file, for messages.

    Raises:
        DataError: another format, a damaged or incomplete file, several pictures in one file, or unsupported colours
            (CMYK, Lab, floating point).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata; real problems are errors
            with Image.open(io.BytesIO(data)) as image:
                return _decode(image, data, name)
    except UnidentifiedImageError as error:
        start = "is empty" if not data else f"starts with {data[:8]!r}"
        raise DataError(
            f"{name!r} is not a PNG, JPEG, WebP, TIFF or BMP picture, or its beginning is damaged: it {start}."
        ) from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{name!r} is larger than Pillow can decode: {error}") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, cv2.error) as error:
        raise DataError(
            f"{name!r} cannot be decoded: {error}. The file is damaged; copy or download it again."
        ) from error


def _decode(image: Image.Image, data: bytes, name: str) -> Picture:
    kind = _OF_PILLOW.get(image.format or "")
    if kind is None:
        raise DataError(
            f"{name!r} has the format {image.format}; supported are PNG, JPEG, WebP, TIFF and BMP."
        )
    n_frames = getattr(image, "n_frames", 1)
    if n_frames > 1 and image.format != "MPO":  # MPO files of phones are a JPEG followed by a preview
        raise DataError(f"{name!r} contains {n_frames} pictures; save the one you want as a separate file.")
    deep = _is_16_bit(image, data)
    image.load()  # decodes everything, so an incomplete file is found here
    pixels = _deep_pixels(image, data, name) if deep else _pixels(image, name)
    turned = _turned(
        pixels, image.getexif().get(_ORIENTATION, 1)
    )  # Pillow has already turned a TIFF, and says so
    return Picture(np.ascontiguousarray(turned), kind, image.info.get("icc_profile"))


def _is_16_bit(image: Image.Image, data: bytes) -> bool:
    """Return whether the channels have 16 bits; Pillow would drop 8 of them."""
    if image.format == "PNG":
        return data[24] == 16
    tags: Any = getattr(image, "tag_v2", {})
    return 16 in tags.get(_BITS_PER_SAMPLE, ()) and image.mode != "F"


def _pixels(image: Image.Image, name: str) -> Pixels:
    transparent = "transparency" in image.info
    if image.mode == "P":
        image = image.convert("RGBA" if transparent else "RGB")
    elif image.mode == "PA":
        image = image.convert("RGBA")
    elif image.mode == "1":
        image = image.convert("L")
    elif transparent and image.mode in ("L", "RGB"):  # one grey level or colour is declared transparent
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    elif image.mode not in _AS_THEY_ARE:
        raise DataError(
            f"{name!r} has colours of the kind {image.mode!r}; supported are grey and RGB of 8 or 16 bits, with or "
            f"without alpha. Convert it in an image editor (CMYK needs its colour profile for that)."
        )
    return np.asarray(image)


def _deep_pixels(image: Image.Image, data: bytes, name: str) -> Pixels:
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise DataError(
            f"{name!r} has 16-bit colours of the kind {image.mode!r}, which are not supported. Convert it to RGB."
        )
    if decoded.ndim == 2:
        return decoded
    if decoded.shape[2] == 3:
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    if image.format == "PNG" and data[25] in (
        0,
        4,
    ):  # grey, whose alpha OpenCV gives beside three equal channels
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
        raise DataError(
            f"the picture has alpha, which {kind.upper()} cannot store. Use --format png, webp or tiff."
        )
    if pixels.dtype == np.uint16:
        if kind in ("png", "tiff"):
            return _encode_deep(picture)
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
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


def _encode_deep(picture: Picture) -> bytes:
    pixels = picture.pixels
    if pixels.ndim == 3 and pixels.shape[2] == 2:  # OpenCV cannot write grey with alpha
        pixels = pixels[..., [0, 0, 0, 1]]
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    done, encoded = cv2.imencode(f".{picture.format}", pixels)
    if not done:
        raise DataError(f"{pixels.dtype} {pixels.shape} cannot be written as {picture.format.upper()}.")
    data = encoded.tobytes()
    if picture.profile is None:
        return data
    return (_with_png_profile if picture.format == "png" else _with_tiff_profile)(data, picture.profile)


def _with_png_profile(data: bytes, profile: bytes) -> bytes:
    """Insert a colour profile, which OpenCV does not write, after the header of a PNG."""
    body = b"iCCP" + b"icc\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    end_of_header = 8 + 25
    return data[:end_of_header] + chunk + data[end_of_header:]


def _with_tiff_profile(data: bytes, profile: bytes) -> bytes:
    """Append a colour profile, and a directory that lists it, to a TIFF; both start at even offsets."""
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (n_entries,) = struct.unpack_from(order + "H", data, start)
    first = start + 2
    entries = [data[first + 12 * i : first + 12 * (i + 1)] for i in range(n_entries)]
    data += b"\0" * (len(data) % 2)
    entries.append(struct.pack(order + "HHII", _TIFF_PROFILE, 7, len(profile), len(data)))
    entries.sort(key=lambda entry: int(struct.unpack_from(order + "H", entry)[0]))
    data += profile + b"\0" * (len(profile) % 2)
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + b"\0\0\0\0"
    return data[:4] + struct.pack(order + "I", len(data)) + data[8:] + directory
