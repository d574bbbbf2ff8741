"""What a video file contains, found out before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from srtrain.errors import DataError

if TYPE_CHECKING:
    import av

Pixels = NDArray[Any]

_HD_PX = 720  # players take untagged videos of at least this height as BT.709, and smaller ones as BT.601
_BT709, _BT601, _UNSPECIFIED, _RGB = 1, 6, 2, 0  # numbers of ITU-T H.273
_HDR = {16: "PQ", 18: "HLG"}
_CUT_SHORT_SECONDS = 0.1


@dataclass
class Survey:
    """The packets and the first frame of a video.

    Attributes:
        index: of the stream with the pictures.
        pts: time stamps of the pictures in order of display, in units of ``time_base`` seconds.
        time_base: the unit.
        size: (height, width) of the decoded pictures, before they are turned.
        turn: how players turn the pictures.
        is_deep: whether the pictures have more than 8 bits.
        matrix: the colour matrix by its number in ITU-T H.273; RGB pictures have 0.
        copied: indices of the sound and subtitle streams.
        notes: what the output will lack, one sentence each.
    """

    index: int
    pts: list[int]
    time_base: Fraction
    size: tuple[int, int]
    turn: Turn
    is_deep: bool
    matrix: int
    copied: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Turn:
    """A rotation by a multiple of 90 degrees, and a mirror image."""

    swap: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def __call__(self, pixels: Pixels) -> Pixels:
        """Turn a picture, HWC."""
        turned = pixels.swapaxes(0, 1) if self.swap else pixels
        down, across = (-1 if flip else 1 for flip in (self.flip_rows, self.flip_columns))
        return np.ascontiguousarray(turned[::down, ::across])


@contextmanager
def opened(source: Path) -> Iterator[Any]:
    """Open a video, and turn the errors of PyAV while it is read into one.

    Raises:
        DataError: the file is missing, is no video, or is damaged.
    """
    import av

    if not source.is_file():
        raise DataError(f"cannot read video {str(source)!r}: there is no such file.")
    try:
        with av.open(str(source)) as container:
            yield container
    except av.FFmpegError as error:
        raise DataError(
            f"video {str(source)!r} cannot be decoded: {error.strerror or error}. The file is damaged or is no video; "
            f"copy or download it again."
        ) from error


def survey(source: Path) -> Survey:
    """Read all packets of a video and decode its first frame.

    Raises:
        DataError: the file is missing, damaged, cut short, has no pictures, or there is no decoder for them.
    """
    with opened(source) as container:
        stream = _pictures(container, source)
        index = stream.index
        pts, end_seconds = _packets(container, stream, source)
        promised = (container.duration or 0) / 1_000_000
        start = max(0.0, (container.start_time or 0) / 1_000_000)
    if promised - (end_seconds - start) > _CUT_SHORT_SECONDS + 0.02 * promised:
        raise DataError(
            f"video {str(source)!r} is cut short: it says that it lasts {promised:.1f} s, but its data end after "
            f"{end_seconds - start:.1f} s. Copy or download it again."
        )
    with opened(source) as container:
        stream = container.streams[index]
        frame = next(iter(container.decode(stream)), None)
        if frame is None:
            raise DataError(f"video {str(source)!r} has no frame that can be decoded.")
        return _described(container, stream, frame, pts)


def _pictures(container: Any, source: Path) -> Any:
    """Return the stream with the pictures, and not the one with the cover of an album."""
    import av

    streams = [s for s in container.streams.video if not s.disposition & _cover(av)]
    if not streams:
        kinds = ", ".join(f"{s.type} {_codec(s)}" for s in container.streams) or "none"
        raise DataError(f"{str(source)!r} has no pictures, only these streams: {kinds}.")
    if streams[0].codec_context is None:
        raise DataError(f"video {str(source)!r}: PyAV has no decoder for {_codec(streams[0])}.")
    return streams[0]


def _cover(av: Any) -> Any:
    return av.stream.Disposition.attached_pic


def _codec(stream: Any) -> str:
    return getattr(stream.codec_context, "name", None) or "of an unknown codec"


def _packets(container: Any, stream: Any, source: Path) -> tuple[list[int], float]:
    """Return the time stamps of the pictures in order of display, and when the last packet of any stream ends."""
    pts: list[int] = []
    end_seconds = 0.0
    for packet in container.demux():
        stamp = packet.pts if packet.pts is not None else packet.dts
        if packet.size == 0 or stamp is None:
            continue
        if packet.is_corrupt:
            raise DataError(
                f"video {str(source)!r} is damaged at {float(stamp * packet.time_base):.2f} s, or cut short there. "
                f"Copy or download it again."
            )
        end_seconds = max(end_seconds, float((stamp + (packet.duration or 0)) * packet.time_base))
        if packet.stream_index == stream.index:
            pts.append(stamp)
    if not pts:
        raise DataError(f"video {str(source)!r} has no frame.")
    return sorted(pts), end_seconds


def _described(container: Any, stream: Any, frame: av.VideoFrame, pts: list[int]) -> Survey:
    is_rgb = frame.colorspace == _RGB and frame.format.is_rgb
    guessed = _BT709 if frame.height >= _HD_PX else _BT601
    matrix = _RGB if is_rgb else guessed if frame.colorspace in (_UNSPECIFIED, _RGB) else frame.colorspace
    found = Survey(
        index=stream.index,
        pts=pts,
        time_base=stream.time_base,
        size=(frame.height, frame.width),
        turn=Turn(),
        is_deep=any(component.bits > 8 for component in frame.format.components),
        matrix=matrix,
    )
    turn = _turn_of(frame)
    if turn is None:
        found.notes.append(
            "it is to be shown turned by an angle that is no multiple of 90 degrees, which is not applied"
        )
    else:
        found.turn = turn
    if frame.interlaced_frame:
        found.notes.append(
            "it is interlaced, and its frames are upscaled as they are; deinterlace it first, with ffmpeg -vf bwdif"
        )
    if any(component.is_alpha for component in frame.format.components):
        found.notes.append("its transparency is dropped")
    if frame.color_trc in _HDR:
        found.notes.append(
            f"it is HDR ({_HDR[frame.color_trc]}): its values are upscaled as they are stored, and keep their "
            f"colour tags; the mastering data are dropped"
        )
    for other in container.streams:
        if other.type in ("audio", "subtitle") and other.codec_context is not None:
            found.copied.append(other.index)
        elif other.index != stream.index:
            found.notes.append(f"its stream {other.index} ({other.type}, {_codec(other)}) is left out")
    return found


def _turn_of(frame: av.VideoFrame) -> Turn | None:
    """Return how players turn a frame; ``None`` for angles in between."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Turn()
    # A pixel at x (to the right), y (down) moves to a x + c y, b x + d y.
    a, b, _, c, d = (round(value / 65536, 3) for value in np.frombuffer(bytes(matrix), np.int32)[:5].tolist())
    if (abs(a), abs(b), abs(c), abs(d)) == (1, 0, 0, 1):
        return Turn(False, d < 0, a < 0)
    if (abs(a), abs(b), abs(c), abs(d)) == (0, 1, 1, 0):
        return Turn(True, b < 0, c < 0)
    return None
