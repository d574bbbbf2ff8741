"""Write the pictures of a video, and copy its sound and subtitles as they are."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srtrain.errors import DataError
from srtrain.infer.video_input import Survey

Pixels = NDArray[Any]


@dataclass(frozen=True)
class Kind:
    """How videos with one suffix are written.

    Attributes:
        container: its name in FFmpeg.
        codec: the encoder.
        formats: pixel formats for 8 bits, for 8 bits with an odd side, and for more than 8 bits, with an odd side too.
        options: of the encoder. All of them keep few frames in memory and write no frame before its time.
    """

    container: str
    codec: str
    formats: tuple[str, str, str, str]
    options: dict[str, str]


_H264 = {"crf": "16", "preset": "medium", "bf": "0", "rc-lookahead": "0", "mbtree": "0"}
_H264_FORMATS = ("yuv420p", "yuv444p", "yuv420p10le", "yuv444p10le")
KINDS = {
    ".mp4": Kind("mp4", "libx264", _H264_FORMATS, _H264),
    ".m4v": Kind("mp4", "libx264", _H264_FORMATS, _H264),
    ".mov": Kind("mov", "libx264", _H264_FORMATS, _H264),
    ".avi": Kind("avi", "mjpeg", ("yuvj444p",) * 4, {"qmin": "1", "qmax": "2", "q": "2"}),
    ".mkv": Kind("matroska", "ffv1", ("bgr0", "bgr0", "gbrp16le", "gbrp16le"), {}),
    ".webm": Kind(
        "webm",
        "libvpx-vp9",
        ("yuv420p",) * 4,
        {"crf": "18", "b": "0", "lag-in-frames": "0", "auto-alt-ref": "0", "cpu-used": "4", "row-mt": "1"},
    ),
}
"""How to write a video, by suffix. ``.mkv`` is lossless."""

SWSCALE = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""libswscale's number of a colour matrix, by its number in ITU-T H.273."""

_FULL, _LIMITED = 2, 1
_UNEVEN = 0.25  # frames; time stamps in milliseconds are off by less


class VideoWriter:
    """Encodes pictures into an opened file, and copies packets of other streams.

    Args:
        container: the opened output.
        source: the opened input, for the streams that are copied.
        found: what is in the input.
        kind: how to write.
        size: (height, width) of the output.

    Raises:
        DataError: the container cannot store the sound or the uneven frame rate, or the encoder is missing.
    """

    def __init__(self, container: Any, source: Any, found: Survey, kind: Kind, size: tuple[int, int]) -> None:
        import av

        self.container, self.found, self.kind, self.size = container, found, kind, size
        if kind.codec not in av.codecs_available:
            raise DataError(
                f"this build of PyAV has no encoder {kind.codec} for {kind.container}. Use --to NAME.mkv (ffv1), or "
                f"install PyAV from PyPI."
            )
        odd = bool(size[0] % 2 or size[1] % 2)
        self.format = kind.formats[2 * found.is_deep + odd]
        self.matrix = found.matrix or _matrix_for(size) if self.format.startswith("yuv") else 0
        self.time_base = found.time_base
        if kind.container == "avi":
            self.time_base = 1 / constant_rate(found.pts, found.time_base)
        self._durations: dict[int, int] = {}
        self._next = 0
        self.stream = self._video_stream(source.streams[found.index])
        self.copies = {index: self._copy_of(source.streams[index]) for index in found.copied}

    def _video_stream(self, source: Any) -> Any:
        stream = self.container.add_stream(self.kind.codec, rate=source.average_rate or 25)
        stream.height, stream.width = self.size
        stream.pix_fmt = self.format
        stream.time_base = stream.codec_context.time_base = self.time_base
        stream.codec_context.options = self.kind.options
        ratio = source.sample_aspect_ratio or 1
        stream.codec_context.sample_aspect_ratio = 1 / ratio if self.found.turn.swap else ratio
        context, given = stream.codec_context, source.codec_context
        context.color_primaries, context.color_trc = given.color_primaries, given.color_trc
        context.colorspace = self.matrix
        context.color_range = _FULL if self.full_range else _LIMITED
        return stream

    def _copy_of(self, source: Any) -> Any:
        """Add a stream for packets that are copied; ``None`` for subtitles that the container cannot store."""
        name = source.codec_context.codec.canonical_name
        if {name, source.codec_context.name} & set(self.container.supported_codecs):
            return self.container.add_stream_from_template(source)
        if source.type == "audio":
            raise DataError(
                f"{self.kind.container} cannot store its sound ({name}), which is copied as it is. Use --to NAME.mkv, "
                f"which stores every kind."
            )
        self.found.notes.append(f"its subtitles ({name}) cannot be stored in {self.kind.container}")
        return None

    @property
    def full_range(self) -> bool:
        """Whether black and white are 0 and 255, and not 16 and 235."""
        return not self.format.startswith("yuv4")

    def write(self, picture: Pixels, pts: int | None, duration: int | None) -> None:
        """Encode one picture, HWC RGB of uint8 or uint16, at its time in units of the input's time base.

        A picture without a time follows the one before it.
        """
        import av

        frame = av.VideoFrame.from_ndarray(picture, "rgb24" if picture.dtype == np.uint8 else "rgb48le")
        if self.format != frame.format.name:
            how = {} if not self.matrix else {"dst_colorspace": SWSCALE.get(self.matrix, 5)}
            frame = frame.reformat(
                format=self.format, dst_color_range=_FULL if self.full_range else _LIMITED, **how
            )
        unit = self.found.time_base / self.time_base
        at = self._next if pts is None else max(self._next, round(pts * unit))
        frame.pts, frame.time_base = at, self.time_base
        self._durations[at] = round((duration or 0) * unit)
        self._next = at + 1 if pts is not None else at + max(1, self._durations[at])
        self._mux(self.stream.encode(frame))

    def copy(self, packet: Any) -> bool:
        """Copy a packet of a stream that is not decoded; return whether there was something to copy."""
        target = self.copies.get(packet.stream_index)
        if target is None or packet.dts is None or not packet.size:
            return False
        packet.stream = target
        self.container.mux(packet)
        return True

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._mux(self.stream.encode(None))

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, 0)
            self.container.mux(packet)


def constant_rate(pts: list[int], time_base: Fraction) -> Fraction:
    """Return the frame rate, for a container that has no time stamps.

    Raises:
        DataError: the time between frames varies.
    """
    steps = [after - before for before, after in pairwise(pts)]
    if not steps:
        return Fraction(25)
    rate = Fraction(len(steps), pts[-1] - pts[0]) / time_base
    off = max(abs((stamp - pts[0]) * time_base * rate - i) for i, stamp in enumerate(pts))
    if off > _UNEVEN or pts[0] * time_base * rate > _UNEVEN:
        raise DataError(
            f"AVI stores a constant frame rate from the first frame on, but the time between the frames of this video "
            f"varies from {float(min(steps) * time_base):.3f} to {float(max(steps) * time_base):.3f} s, or it begins "
            f"later. Use --to NAME.mkv or NAME.mp4."
        )
    return rate.limit_denominator(1001)


def _matrix_for(size: tuple[int, int]) -> int:
    """Return the colour matrix that players expect of an untagged video of this size."""
    return 1 if size[0] >= 720 else 6
