"""Videos through OpenCV, written and read for real."""

import resource

import cv2
import numpy as np
import pytest

from srtrain.errors import DataError
from srtrain.infer.model import Model
from srtrain.infer.video import CODECS, upscale_video


def frames(n=7, height=24, width=32):
    """Return frames of a bright bar that moves across the picture."""
    made = []
    for i in range(n):
        frame = np.full((height, width, 3), (40, 90, 160), np.uint8)
        frame[:, 4 * i : 4 * i + 4] = 230
        made.append(frame)
    return made


def write(path, pictures, fps=12.5):
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*CODECS[path.suffix]), fps, (width, height))
    for picture in pictures:
        writer.write(picture)
    writer.release()


def read(path):
    capture = cv2.VideoCapture(str(path))
    fps, found = capture.get(cv2.CAP_PROP_FPS), []
    while True:
        there, frame = capture.read()
        if not there:
            return found, fps
        found.append(frame)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi", ".webm"])
def test_every_frame_is_upscaled_at_its_time(onnx_engine, tmp_path, suffix):
    model = Model(onnx_engine)
    write(tmp_path / "in.mkv", frames())  # loses nothing
    assert upscale_video(model, tmp_path / "in.mkv", tmp_path / f"out{suffix}") == 7
    found, fps = read(tmp_path / f"out{suffix}")
    assert (len(found), fps) == (7, 12.5)
    for frame, original in zip(found, frames(), strict=True):
        expected = model.upscale(np.ascontiguousarray(original[..., ::-1]))[..., ::-1].astype(int)
        tolerance = 1 if suffix == ".mkv" else 30
        assert np.abs(frame - expected).mean() <= tolerance
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", f"out{suffix}"]


def test_what_cannot_be_read_or_written_is_said_and_leaves_nothing(onnx_engine, tmp_path):
    model = Model(onnx_engine)
    with pytest.raises(DataError, match=r"cannot read video .*gone\.mp4': there is no such file"):
        upscale_video(model, tmp_path / "gone.mp4", tmp_path / "out.mp4")
    (tmp_path / "bad.mp4").write_bytes(b"no video at all")
    with pytest.raises(DataError, match=r"bad\.mp4' cannot be decoded; it is damaged"):
        upscale_video(model, tmp_path / "bad.mp4", tmp_path / "out.mp4")
    write(tmp_path / "in.mkv", frames())
    with pytest.raises(DataError, match=r"cannot write .*No such file or directory"):
        upscale_video(model, tmp_path / "in.mkv", tmp_path / "gone" / "out.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.mp4", "in.mkv"]


def test_an_output_that_does_not_fit_is_noticed_and_leaves_nothing(onnx_engine, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), np.uint8)
    write(tmp_path / "in.mkv", list(noise))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))  # as a full disk, a write fails
    try:
        with pytest.raises(DataError, match=r"out\.mkv' could not be written: not all of its 9 frames"):
            upscale_video(Model(onnx_engine), tmp_path / "in.mkv", tmp_path / "out.mkv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]
