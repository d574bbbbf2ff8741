"""Videos, frame by frame, with PyAV: time stamps, rotation, sound and exact sizes are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tqdm import tqdm

from srtrain.arrays import UInt8
from srtrain.errors import MACHINE_FAULTS, DataError, DeviceError, SrtrainError, cannot
from srtrain.files import whole_file
from srtrain.infer.model import Model
from srtrain.infer.video_input import Survey, opened, survey
from srtrain.infer.video_output import KINDS, SWSCALE, VideoWriter


def upscale_video(model: Model, source: Path, target: Path, say: Callable[[str], None] | None = None) -> int:
    """Upscale every frame of a video and return the number of frames. The file appears whole or not at all.

    Frames are decoded, upscaled and encoded one by one. Sound and subtitles are copied.

    Args:
        model: the network.
        source: the video.
        target: its suffix, one of ``KINDS``, chooses container and codec.
        say: receives one sentence for each thing that the output lacks.

    Raises:
        DeviceError: PyAV is not installed.
        DataError: the video cannot be read, or the container of the output cannot store it.
        SrtrainError: the disk is full, or see `Model.upscale`.
    """
    if find_spec("av") is None:
        raise DeviceError("videos need the package 'av' (PyAV), which is not installed: pip install av.")
    found = survey(source)
    try:
        with whole_file(target) as hidden:
            n_frames, n_copied = _upscale_all(model, source, hidden, target, found)
            _check(hidden, target, n_frames, n_copied)
    except OSError as error:
        raise cannot(f"cannot write {str(target)!r}", error, kind=DataError) from error
    if say is not None:
        for note in found.notes:
            say(f"{source}: {note}")
    return n_frames


def _upscale_all(model: Model, source: Path, hidden: Path, target: Path, found: Survey) -> tuple[int, int]:
    """Write the file; return the numbers of frames and of copied packets."""
    kind = KINDS[target.suffix.lower()]
    height, width = (side * model.scale for side in (found.size[::-1] if found.turn.swap else found.size))
    n_frames = n_copied = 0
    with (
        opened(source) as reader,
        _output(hidden, target, kind.container) as container,
        tqdm(total=len(found.pts), desc="frames", unit="frame", leave=False, disable=None) as progress,
    ):
        with _errors_of_output(
            target, f"{kind.container} may not take its sound or its size: use --to NAME.mkv"
        ):
            writer = VideoWriter(container, reader, found, kind, (height, width))
            container.start_encoding()
        for packet in reader.demux([reader.streams[index] for index in (found.index, *found.copied)]):
            if packet.stream_index != found.index:
                with _errors_of_output(target):
                    n_copied += writer.copy(packet)
                continue
            for frame in packet.decode():
                is_middle = n_frames == len(found.pts) // 2  # the first frame is often black
                picture = model.upscale(found.turn(_rgb(frame, found, source)), notes=is_middle)
                with _errors_of_output(target):
                    writer.write(picture, frame.pts, frame.duration)
                n_frames += 1
                progress.update()
        with _errors_of_output(target):
            writer.finish()
    return n_frames, n_copied


@contextmanager
def _output(hidden: Path, target: Path, container: str) -> Iterator[Any]:
    """Open the output, and close it, which writes its index."""
    import av

    with _errors_of_output(target):
        output = av.open(str(hidden), "w", format=container)
    try:
        yield output
    except BaseException:
        with suppress(av.FFmpegError):
            output.close()
        raise
    with _errors_of_output(target):
        output.close()


@contextmanager
def _errors_of_output(target: Path, advice: str = "Use another suffix") -> Iterator[None]:
    """Turn the errors of PyAV while it writes: into an OSError if the machine is at fault, else into a DataError."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        if error.errno in MACHINE_FAULTS:
            raise OSError(error.errno, error.strerror) from error
        raise DataError(f"{str(target)!r} cannot be written: {error.strerror or error}. {advice}.") from error


def _rgb(frame: Any, found: Survey, source: Path) -> UInt8:
    """Return a frame as HWC RGB of uint8, or of uint16 if it has more than 8 bits."""
    if (frame.height, frame.width) != found.size:
        raise DataError(
            f"video {str(source)!r} changes its size at {frame.time:.2f} s, from {found.size[1]}×{found.size[0]} to "
            f"{frame.width}×{frame.height} px. Cut it there, and upscale the parts."
        )
    how = {"src_colorspace": SWSCALE.get(found.matrix, 5)} if found.matrix else {}
    pixels: UInt8 = frame.reformat(format="rgb48le" if found.is_deep else "rgb24", **how).to_ndarray()
    return pixels


def _check(hidden: Path, target: Path, n_frames: int, n_copied: int) -> None:
    """Check that everything is in the file, because the index or the last packets may not have fitted on the disk."""
    counts = [0, 0]
    with opened(hidden) as container:
        index = container.streams.video[0].index
        for packet in container.demux():
            counts[packet.stream_index != index] += packet.size > 0
    if counts != [n_frames, n_copied]:
        raise SrtrainError(
            f"{str(target)!r} could not be written: {counts[0]} of its {n_frames} frames and {counts[1]} of {n_copied} "
            f"other packets are in the file. Check that the disk is not full."
        )
