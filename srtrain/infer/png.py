"""The parts of a PNG file that decoders treat differently: transparent colours, colour profiles and long texts.

``strip`` takes them out, so that the decoder sees pixels only and its limits for texts do not matter.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srtrain.data.header import png_chunks

_START_BYTES = 8
_GREY, _RGB, _PALETTE = 0, 2, 3
_KEPT = (b"IHDR", b"PLTE", b"IDAT", b"eXIf", b"IEND")
_MAX_PROFILE_BYTES = 16_000_000  # profiles of printers take 1 to 3 MB


@dataclass(frozen=True)
class Stripped:
    """A PNG file without the parts that ``strip`` takes out.

    Attributes:
        data: the rest of the file.
        bits: of each sample.
        colour: the colour type: 0 is grey, 2 RGB, 3 a palette, 4 grey with alpha, 6 RGBA.
        key: the samples of the colour that is transparent, or ``None``.
        profile: the ICC profile.
        n_frames: number of frames if the file is animated, else 1.
    """

    data: bytes
    bits: int
    colour: int
    key: tuple[int, ...] | None
    profile: bytes | None
    n_frames: int

    def with_key(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return pixels with the alpha channel that the transparent colour means."""
        if self.key is None:
            return pixels
        colours = pixels[..., None] if pixels.ndim == 2 else pixels
        spread = 255 // (2**self.bits - 1) if self.bits < 8 else 1
        visible = (colours != np.array(self.key, colours.dtype) * colours.dtype.type(spread)).any(
            -1, keepdims=True
        )
        alpha = visible * np.iinfo(colours.dtype).max
        return np.concatenate([colours, alpha.astype(colours.dtype)], axis=2)


def strip(data: bytes) -> Stripped:
    """Take a PNG file apart.

    Raises:
        EOFError: the file is cut short.
        struct.error: likewise.
        ValueError: a chunk is damaged.
    """
    if data[12:16] != b"IHDR":
        raise ValueError("the first chunk is not IHDR")
    bits, colour = struct.unpack(">BB", data[24:26])
    kept, key, profile, n_frames = [data[:_START_BYTES]], None, None, 1
    for name, start, end in png_chunks(data):
        if name in _KEPT or (name == b"tRNS" and colour == _PALETTE):
            kept.append(data[start - 8 : end + 4])
        elif name in (b"tRNS", b"iCCP", b"acTL"):
            content = data[start:end]
            if zlib.crc32(name + content) != int.from_bytes(data[end : end + 4], "big"):
                raise ValueError(f"the checksum of the chunk {name.decode()} is wrong")
            if name == b"tRNS" and colour in (_GREY, _RGB):
                key = struct.unpack(">H" if colour == _GREY else ">HHH", content)
            elif name == b"iCCP":
                profile = _inflated(content.partition(b"\0")[2][1:])
            elif name == b"acTL":
                n_frames = int(struct.unpack(">I", content[:4])[0])
    return Stripped(b"".join(kept), bits, colour, key, profile, max(1, n_frames))


def _inflated(packed: bytes) -> bytes | None:
    """Return a colour profile, or ``None`` if it is damaged or too large: profiles are not needed to decode."""
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(packed, _MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if inflater.eof and profile else None


def with_profile(data: bytes, profile: bytes) -> bytes:
    """Insert a colour profile, which OpenCV does not write, after the header of a PNG."""
    body = b"iCCP" + b"icc\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    end_of_header = _START_BYTES + 25
    return data[:end_of_header] + chunk + data[end_of_header:]
