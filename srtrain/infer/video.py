"""Videos, frame by frame, with OpenCV, which reads and writes no sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from srtrain.arrays import UInt8
from srtrain.data.picture import cannot_write
from srtrain.errors import DataError
from srtrain.files import whole_file
from srtrain.infer.model import Model

CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".mkv": "FFV1", ".webm": "VP90"}
"""Codecs that OpenCV's wheels contain, by suffix; FFV1 is lossless."""


def upscale_video(model: Model, source: Path, target: Path) -> int:
    """Upscale every frame of a video and return the number of frames. The file appears whole or not at all.

    Raises:
        DataError: the video cannot be read, has no frame, or its output cannot be written.
        SrtrainError: see `Model.upscale`.
    """
    if not source.is_file():
        raise DataError(f"cannot read video {str(source)!r}: there is no such file.")
    capture = cv2.VideoCapture(str(source))
    try:
        found, frame = capture.read()
        if not found:
            raise DataError(
                f"video {str(source)!r} cannot be decoded; it is damaged, or OpenCV lacks its codec."
            )
        with whole_file(target) as hidden:
            n_frames = _upscale_all(model, capture, frame, hidden)
            _check(hidden, n_frames, target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        capture.release()
    return n_frames


def _upscale_all(model: Model, capture: Any, frame: UInt8, hidden: Path) -> int:
    height, width = frame.shape[:2]
    codec = CODECS[hidden.suffix.lower()]
    writer = cv2.VideoWriter(
        str(hidden),
        cv2.CAP_FFMPEG,
        cv2.VideoWriter.fourcc(*codec),
        capture.get(cv2.CAP_PROP_FPS) or 25.0,
        (width * model.scale, height * model.scale),
    )
    if not writer.isOpened():
        raise DataError(
            f"OpenCV cannot write {hidden.suffix} with {codec} at {width * model.scale}×"
            f"{height * model.scale} px; try another of {', '.join(CODECS)}."
        )
    n_expected = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    n_frames, found = 0, True
    with tqdm(total=n_expected or None, desc="frames", unit="frame", leave=False, disable=None) as progress:
        while found:
            sr = model.upscale(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
            writer.write(cv2.cvtColor(sr, cv2.COLOR_RGB2BGR))
            n_frames += 1
            progress.update()
            found, frame = capture.read()
    writer.release()
    return n_frames


def _check(hidden: Path, n_frames: int, target: Path) -> None:
    """Check that all frames were written, because OpenCV's writer does not report a full disk."""
    written = cv2.VideoCapture(str(hidden))
    n_written = int(written.get(cv2.CAP_PROP_FRAME_COUNT)) if written.isOpened() else 0
    written.release()
    if abs(n_written - n_frames) > 1:  # some containers store a duration, from which the number is rounded
        raise DataError(
            f"{str(target)!r} could not be written: not all of its {n_frames} frames are in the file. "
            f"Check that the disk is not full."
        )
