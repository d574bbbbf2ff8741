"""Videos that PyAV writes are upscaled, and every property of the output is compared with the input."""

import resource
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from srtrain.engines.bicubic import Bicubic
from srtrain.errors import DataError, SrtrainError
from srtrain.infer.model import Model
from srtrain.infer.video import upscale_video


def frames(n=7, height=24, width=32):
    """Return smooth frames, bright above and dark below, over which a red bar moves to the right."""
    y = np.linspace(220, 30, height)[:, None, None]
    made = np.broadcast_to(y, (n, height, width, 3)).astype(np.uint8).copy()
    for i in range(n):
        made[i, :, 4 * i : 4 * i + 4] = (200, 60, 40)
    return made


def write(path, pictures, pts=None, time_base=Fraction(1, 1000), **how):
    """Write a video.

    Args:
        path: the file.
        pictures: its frames, uint8 or uint16.
        pts: time of each frame in units of ``time_base``; by default 25 frames a second.
        how: ``codec``, ``pix_fmt``, ``sound`` (a codec), ``rotation`` and ``colours``.
    """
    codec, pix_fmt = how.get("codec", "ffv1"), how.get("pix_fmt", "bgr0")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.time_base = stream.codec_context.time_base = time_base
        stream.codec_context.options = how.get("options", {})
        for name, value in how.get("tags", {}).items():
            setattr(stream.codec_context, name, value)
        sound = container.add_stream(how["sound"], rate=16000, layout="mono") if "sound" in how else None
        for packet in [*sounds(sound)] if sound else ():
            container.mux(packet)
        pts = [40 * i for i in range(len(pictures))] if pts is None else pts
        for picture, at in zip(pictures, pts, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24" if picture.dtype == np.uint8 else "rgb48le")
            frame = frame.reformat(format=pix_fmt)
            frame.pts, frame.time_base = at, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def sounds(stream):
    """Encode a second of a tone."""
    tone = (8000 * np.sin(np.arange(16000) / 5)).astype(np.int16)[None]
    frame = av.AudioFrame.from_ndarray(tone, "s16", "mono")
    frame.sample_rate, frame.pts = 16000, 0
    return [*stream.encode(frame), *stream.encode(None)]


def read(path):
    """Return the frames as RGB, their times in seconds, and the duration of their stream."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        found = list(container.decode(stream))
        seconds = stream.duration and float(stream.duration * stream.time_base)
    return np.stack([f.to_ndarray(format="rgb24") for f in found]), [f.time for f in found], seconds


def packets(path, kind):
    with av.open(str(path)) as container:
        return [
            (round(float(p.pts * p.time_base), 3), bytes(p))
            for p in container.demux(getattr(container.streams, kind)[0])
            if p.size
        ]


@pytest.fixture
def model():
    return Model(Bicubic(2))


def difference(found, expected):
    return np.abs(found.astype(int) - expected.astype(int)).mean(axis=(1, 2, 3)).max()


@pytest.mark.parametrize(
    ("suffix", "tolerance"), [(".mkv", 0), (".mp4", 6), (".mov", 6), (".m4v", 6), (".avi", 3), (".webm", 8)]
)
def test_every_frame_is_upscaled_at_its_time(model, tmp_path, suffix, tolerance):
    write(tmp_path / "in.mkv", frames())
    assert upscale_video(model, tmp_path / "in.mkv", tmp_path / f"out{suffix}") == 7
    found, times, _ = read(tmp_path / f"out{suffix}")
    assert times == pytest.approx([0.04 * i for i in range(7)], abs=1e-3)
    assert difference(found, np.stack([model.upscale(frame) for frame in frames()])) <= tolerance
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", f"out{suffix}"]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm"])
def test_uneven_times_and_the_duration_are_kept(model, tmp_path, suffix):
    pts = [0, 500, 1700, 1800, 6400, 9000, 9100]
    write(
        tmp_path / "in.mp4", frames(), pts, Fraction(1, 12800), codec="libx264", pix_fmt="yuv420p",
        options={"bf": "2"},
    )  # fmt: skip
    _, given, seconds = read(tmp_path / "in.mp4")
    assert [round(at * 12800) for at in given] == pts
    upscale_video(model, tmp_path / "in.mp4", tmp_path / f"out{suffix}")
    _, times, written = read(tmp_path / f"out{suffix}")
    assert times == pytest.approx(given, abs=1e-9 if suffix == ".mp4" else 6e-4)
    if suffix == ".mp4":
        assert written >= seconds


def test_avi_has_no_times_so_uneven_ones_are_refused(model, tmp_path):
    write(tmp_path / "in.mkv", frames(3), [0, 40, 160])
    with pytest.raises(DataError, match=r"varies from 0\.040 to 0\.120 s.* Use --to NAME\.mkv"):
        upscale_video(model, tmp_path / "in.mkv", tmp_path / "out.avi")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def with_matrix(path, *values):
    """Change the display matrix of an MP4."""
    data = path.read_bytes()
    at = data.find(b"tkhd") + 44
    fixed = [value << (30 if k % 3 == 2 else 16) for k, value in enumerate(values)]
    path.write_bytes(data[:at] + struct.pack(">9i", *fixed) + data[at + 36 :])


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((1, 0, 0, 0, 1, 0, 0, 0, 1), lambda x: x),
        ((0, 1, 0, -1, 0, 0, 0, 0, 1), lambda x: np.rot90(x, -1)),  # clockwise, as phones write it
        ((-1, 0, 0, 0, -1, 0, 0, 0, 1), lambda x: np.rot90(x, 2)),
        ((0, -1, 0, 1, 0, 0, 0, 0, 1), lambda x: np.rot90(x)),
        ((-1, 0, 0, 0, 1, 0, 0, 0, 1), lambda x: x[:, ::-1]),
        ((1, 0, 0, 0, -1, 0, 0, 0, 1), lambda x: x[::-1]),
        ((0, 1, 0, 1, 0, 0, 0, 0, 1), lambda x: x.swapaxes(0, 1)),
    ],
)
def test_rotation_is_applied(model, tmp_path, matrix, turn):
    write(tmp_path / "in.mp4", frames(2), codec="mpeg4", pix_fmt="yuv420p", options={"qmax": "2"})
    stored, _, _ = read(tmp_path / "in.mp4")
    with_matrix(tmp_path / "in.mp4", *matrix)
    upscale_video(model, tmp_path / "in.mp4", tmp_path / "out.mkv")
    found, _, _ = read(tmp_path / "out.mkv")
    expected = np.stack([model.upscale(np.ascontiguousarray(turn(frame))) for frame in stored])
    assert difference(found, expected) <= 2


def test_an_angle_in_between_is_said(model, tmp_path):
    write(tmp_path / "in.mp4", frames(2), codec="mpeg4", pix_fmt="yuv420p")
    data = (tmp_path / "in.mp4").read_bytes()
    at = data.find(b"tkhd") + 44
    turned = struct.pack(">9i", 46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30)
    (tmp_path / "in.mp4").write_bytes(data[:at] + turned + data[at + 36 :])
    said = []
    upscale_video(model, tmp_path / "in.mp4", tmp_path / "out.mkv", said.append)
    [text] = said
    assert "in.mp4: it is to be shown turned by an angle that is no multiple of 90 degrees" in text


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".avi", ".webm"])
@pytest.mark.parametrize("size", [(35, 45), (34, 45), (1, 1)])
def test_odd_sizes_are_exact(tmp_path, suffix, size):
    write(tmp_path / "in.mkv", frames(2, *size))
    upscale_video(Model(Bicubic(3)), tmp_path / "in.mkv", tmp_path / f"out{suffix}")
    found, _, _ = read(tmp_path / f"out{suffix}")
    assert found.shape[1:3] == (3 * size[0], 3 * size[1])


@pytest.mark.parametrize(
    ("sound", "source", "target"),
    [("aac", "in.mp4", "out.mkv"), ("libopus", "in.mkv", "out.webm"), ("pcm_s16le", "in.avi", "out.mov"),
     ("libmp3lame", "in.mkv", "out.mp4"), ("aac", "in.mp4", "out.mp4")],
)  # fmt: skip
def test_sound_is_copied_as_it_is(model, tmp_path, sound, source, target):
    codec = "mjpeg" if source.endswith("avi") else "mpeg4"
    write(
        tmp_path / source, frames(), time_base=Fraction(1, 25), pts=range(7), codec=codec,
        pix_fmt="yuvj420p" if codec == "mjpeg" else "yuv420p", sound=sound,
    )  # fmt: skip
    upscale_video(model, tmp_path / source, tmp_path / target)
    given, found = (packets(tmp_path / name, "audio") for name in (source, target))
    assert b"".join(data for _, data in found) == b"".join(data for _, data in given)
    # Some containers have no times before 0, where sound may begin. They move everything by the same time.
    first, moved = (packets(tmp_path / name, "video")[0][0] for name in (source, target))
    assert found[0][0] - moved == pytest.approx(given[0][0] - first, abs=0.03)
    assert found[-1][0] - moved == pytest.approx(given[-1][0] - first, abs=0.03)
    assert len(packets(tmp_path / target, "video")) == 7


def test_sound_that_the_container_cannot_store_is_refused_before_anything_is_computed(
    model, tmp_path, monkeypatch
):
    monkeypatch.setattr(Model, "upscale", lambda *_: pytest.fail("a frame was upscaled"))
    write(tmp_path / "in.mkv", frames(), sound="aac")
    with pytest.raises(DataError, match=r"webm cannot store its sound \(aac\).* Use --to NAME\.mkv"):
        upscale_video(model, tmp_path / "in.mkv", tmp_path / "out.webm")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_ten_bits_stay_and_colour_tags_too(model, tmp_path):
    ramp = np.linspace(9000, 52000, 64).astype(np.uint16)[None, :, None].repeat(24, 0).repeat(3, 2)
    tags = {"color_primaries": 9, "color_trc": 16, "colorspace": 9}
    write(
        tmp_path / "in.mkv", np.stack([ramp] * 2), codec="libx264", pix_fmt="yuv444p10le", tags=tags,
        options={"crf": "0"},
    )  # fmt: skip
    said = []
    upscale_video(model, tmp_path / "in.mkv", tmp_path / "out.mp4", said.append)
    assert "it is HDR (PQ)" in said[0]
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        assert frame.format.name == "yuv420p10le"
        assert (frame.color_primaries, frame.color_trc, frame.colorspace) == (9, 16, 9)
        grey = frame.reformat(format="gray16le").to_ndarray()[10]
    assert (
        len(np.unique(grey)) > 100
    )  # 8 bits would leave 64 levels at most, since the ramp has that many steps


@pytest.mark.parametrize(("matrix", "height"), [(1, 24), (6, 24), (2, 24), (2, 720)])
def test_colours_are_the_same_after_the_matrix(model, tmp_path, matrix, height):
    """A player that follows the tags shows the colours of the input, also if the input has no tag."""
    picture = np.full((height, 32, 3), (190, 70, 40), np.uint8)
    write(tmp_path / "in.mkv", [picture], codec="libx264", pix_fmt="yuv444p", tags={"colorspace": matrix})
    upscale_video(model, tmp_path / "in.mkv", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "in.mkv")) as given, av.open(str(tmp_path / "out.mp4")) as found:
        one, other = next(given.decode(video=0)), next(found.decode(video=0))
    by_player = {1: 1, 6: 5, 2: 1 if height >= 720 else 5}[matrix]
    assert other.colorspace == {1: 1, 6: 6, 2: 1 if height >= 720 else 6}[matrix]
    expected = one.reformat(format="rgb24", src_colorspace=by_player).to_ndarray().mean((0, 1))
    shown = other.reformat(format="rgb24", src_colorspace=by_player).to_ndarray().mean((0, 1))
    np.testing.assert_allclose(shown, expected, atol=2)


def test_what_cannot_be_read_or_written_is_said_and_leaves_nothing(model, tmp_path):
    write(tmp_path / "in.mkv", frames())
    whole = (tmp_path / "in.mkv").read_bytes()
    (tmp_path / "bad.mp4").write_bytes(b"no video at all")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        container.mux(sounds(container.add_stream("aac", rate=16000, layout="mono")))
    names = sorted(path.name for path in tmp_path.iterdir())
    for name, message in (
        ("gone.mp4", r"cannot read video .*gone\.mp4': there is no such file"),
        ("bad.mp4", r"bad\.mp4' cannot be decoded: .*damaged or is no video"),
        ("empty.mp4", r"empty\.mp4' cannot be decoded"),
        ("cut.mkv", r"cut\.mkv' is (cut short|damaged)"),
        ("sound.mp4", r"sound\.mp4' has no pictures, only these streams: audio aac"),
    ):
        with pytest.raises(DataError, match=message):
            upscale_video(model, tmp_path / name, tmp_path / "out.mp4")
    with pytest.raises(DataError, match=r"cannot write .*No such file or directory"):
        upscale_video(model, tmp_path / "in.mkv", tmp_path / "gone" / "out.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi"])
def test_an_output_that_does_not_fit_is_noticed_and_leaves_nothing(model, tmp_path, suffix):
    write(tmp_path / "in.mkv", np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), np.uint8))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))  # as on a full disk, a write fails
    try:
        with pytest.raises(SrtrainError, match=rf"out\{suffix}'.*(File too large|not be written)") as caught:
            upscale_video(model, tmp_path / "in.mkv", tmp_path / f"out{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_what_tiles_change_is_measured_and_said_once_for_each_video(tmp_path):
    said = []
    model = Model(Bicubic(2), tile_px=12, overlap_px=1, say=said.append)
    for name in ("a", "b"):
        write(tmp_path / f"{name}.mkv", frames(5))
        upscale_video(model, tmp_path / f"{name}.mkv", tmp_path / f"{name}_x2.mkv")
    assert len(said) == 2
    assert all(text.startswith("an overlap of 1 px instead of") for text in said)
