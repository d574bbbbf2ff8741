"""Read TIFF files of grey, RGB and palettes exactly; refuse every other kind by its name.

tifffile decodes the samples. This module gives them their meaning: polarity, palette, alpha and orientation.
"""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srtrain.errors import DataError

Pixels = NDArray[Any]
CheckSize = Callable[[int, int, int], None]
"""Called with height, width and bytes for each pixel, before anything is decoded; raises if that is too large."""

_WHITE_IS_0, _BLACK_IS_0, _RGB, _PALETTE = 0, 1, 2, 3
_KINDS = {4: "a mask", 5: "CMYK", 6: "YCbCr", 8: "Lab", 9: "Lab", 10: "Lab", 32803: "raw sensor data"}
_EXTRA_SAMPLES, _ORIENTATION, _PROFILE = 338, 274, 34675
_ASSOCIATED, _UNASSOCIATED = 1, 2
_JPEG, _CCITT = 7, (2, 3, 4)
# None, LZW, Deflate, PackBits, LZMA, Zstandard.
_LOSSLESS = (1, 5, 8, 32773, 32946, 34925, 50000)
_QUIET = logging.NullHandler()


def read_tiff(data: bytes, check_size: CheckSize) -> tuple[Pixels, int, bytes | None] | None:
    """Return the pixels (uint8 or uint16; HW or HWC), the orientation (1 to 8) and the ICC profile.

    ``None`` means that the file is compressed as JPEG, or as a fax, which Pillow decodes.

    Raises:
        DataError: several pictures, or a kind of picture that is not supported; the message has no file name.
        Exception: whatever tifffile raises for a damaged file.
    """
    import tifffile  # takes 0.1 s

    logging.getLogger("tifffile").addHandler(_QUIET)  # it warns of odd tags; real problems are errors
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        if len(file.pages) != 1:
            raise DataError(f"contains {len(file.pages)} pictures; save the one you want as a separate file.")
        page: Any = file.pages[0]
        if int(page.compression) == _JPEG and page.samplesperpixel in (1, 3) and page.bitspersample == 8:
            return None
        if int(page.compression) in _CCITT and page.samplesperpixel == page.bitspersample == 1:
            return None
        if problem := _unsupported(page):
            raise DataError(
                f"is a TIFF file with {problem}, which is not supported. Convert it to 8 or 16 bit RGB."
            )
        check_size(page.imagelength, page.imagewidth, page.samplesperpixel * (page.bitspersample + 7) // 8)
        if page.is_tiled:
            check_size(page.tilelength, page.tilewidth, page.samplesperpixel * (page.bitspersample + 7) // 8)
        if 0 in page.databytecounts or len(page.dataoffsets) < math.prod(page.chunked):
            raise ValueError("a part of the picture is missing")
        # Always 5 dimensions: planes, depth, height, width, channels.
        samples = page.asarray(squeeze=False)[:, 0]
        stored = np.moveaxis(samples[..., 0], 0, 2) if len(samples) > 1 else samples[0]
        tags = page.tags
        orientation = tags[_ORIENTATION].value if _ORIENTATION in tags else 1
        profile = tags[_PROFILE].value if _PROFILE in tags else None
        return _meaning(page, stored), int(orientation), bytes(profile) if profile else None


def _unsupported(page: Any) -> str:
    """Return what of a TIFF page is not supported, or an empty string."""
    kind, bits, n = int(page.photometric), page.bitspersample, int(page.samplesperpixel)
    n_colours = 3 if kind == _RGB else 1
    if kind not in (_WHITE_IS_0, _BLACK_IS_0, _RGB, _PALETTE):
        return f"colours of the kind {_KINDS.get(kind, kind)}"
    if not isinstance(bits, int) or bits not in (1, 2, 4, 8, 16) or int(page.sampleformat) != 1:
        kinds = {1: "whole numbers", 2: "signed numbers", 3: "floating point numbers"}
        return f"{kinds.get(int(page.sampleformat), 'samples')} of {bits} bits"
    if (kind == _RGB and bits < 8) or (kind == _PALETTE and bits > 8):
        return f"{'RGB' if kind == _RGB else 'a palette'} of {bits} bits"
    if int(page.compression) not in _LOSSLESS:
        return f"the compression {getattr(page.compression, 'name', page.compression)}"
    if page.imagedepth != 1 or min(page.imagelength, page.imagewidth) < 1:
        return f"a size of {page.imagewidth}×{page.imagelength}×{page.imagedepth}"
    if n < n_colours:
        return f"{n} channels for RGB"
    if n > n_colours + 1 or (n > n_colours and (kind in (_WHITE_IS_0, _PALETTE) or bits < 8)):
        return (
            f"{n} channels ({'white is 0' if kind == _WHITE_IS_0 else 'grey' if n_colours == 1 else 'RGB'})"
        )
    if n > n_colours and _extra(page) not in (_ASSOCIATED, _UNASSOCIATED):
        return "an extra channel whose meaning the file does not say"
    return ""


def _extra(page: Any) -> int:
    """Return the meaning of the channel beside the colours. Programs that leave it out, such as OpenCV, mean alpha."""
    if _EXTRA_SAMPLES not in page.tags:
        return _UNASSOCIATED
    value = page.tags[_EXTRA_SAMPLES].value
    return int(value[0] if isinstance(value, (tuple, list)) else value)


def _meaning(page: Any, stored: Pixels) -> Pixels:
    """Return HW or HWC pixels over the whole range of their type, with alpha that is not multiplied in."""
    kind, bits = int(page.photometric), int(page.bitspersample)
    if kind == _PALETTE:
        colours = np.asarray(page.colormap)  # uint16, 3 × 2^bits; some programs write values of 8 bits
        table = (colours >> 8 if colours.max() > 255 else colours).astype(np.uint8).T
        return np.ascontiguousarray(table[stored[..., 0]])
    if bits < 8:
        stored = stored.astype(np.uint8) * np.uint8(255 // (2**bits - 1))
    top = np.iinfo(stored.dtype).max
    if kind == _WHITE_IS_0:
        stored = top - stored
    if stored.shape[2] in (2, 4) and _extra(page) == _ASSOCIATED:
        return _divided(stored)
    return stored[..., 0] if stored.shape[2] == 1 else stored


def _divided(stored: Pixels) -> Pixels:
    """Divide colours by the alpha that they were multiplied with; where alpha is 0, they are 0."""
    top = int(np.iinfo(stored.dtype).max)
    result = stored.copy()
    for line, target in zip(stored, result, strict=True):
        alpha = line[:, -1:].astype(np.uint64)
        colours = line[:, :-1].astype(np.uint64) * top + alpha // 2
        target[:, :-1] = np.where(alpha > 0, np.minimum(colours // np.maximum(alpha, 1), top), 0)
    return result
