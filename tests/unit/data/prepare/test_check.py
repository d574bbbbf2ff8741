"""Each fault planted in a data set is found and named; a correct set has none."""

import cv2
import numpy as np
import pytest

from srtrain.data.picture import read_rgb, write_png
from srtrain.data.prepare.bicubic import write_bicubic
from srtrain.data.prepare.check import check_set, compare
from srtrain.errors import DataError, RecipeError, UnknownNameError


def photo(height, width, seed):
    """Return smooth noise with structure at every scale, so that no two pictures look alike."""
    rng = np.random.default_rng(seed)
    layers = [cv2.resize(rng.uniform(0, 1, (n, n, 3)), (width, height)) for n in (3, 7, 19, 60)]
    return (sum(layers) / len(layers) * 255).astype(np.uint8)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "HR").mkdir()
    for i in range(6):
        write_png(tmp_path / "HR" / f"{i}.png", photo(64, 72, i))
    write_bicubic(tmp_path / "HR", tmp_path / "LR_bicubic", [2])
    return tmp_path


def check(root, with_psnr=True, **arguments):
    return check_set("folder", {"root": str(root), "scale": 2, **arguments}, with_psnr)[0]


def messages(report, kind, fault=True):
    return [f.message for f in report.findings if f.kind == kind and f.fault == fault]


def test_a_sound_set(root):
    report = check(root)
    assert report.findings == []
    assert (report.n_pictures, report.modes, report.sizes) == (6, {"rgb 8 bit": 6}, "72×64 px to 72×64 px")
    assert 20 < report.psnr < 60
    assert report.verdict == "nothing published to compare with"


def test_every_planted_fault_is_found_and_named(root):
    hr, lr = root / "HR", root / "LR_bicubic" / "X2"
    (hr / "0.png").write_bytes((hr / "0.png").read_bytes()[:500])
    (lr / "1x2.png").write_bytes(b"")
    write_png(lr / "2x2.png", photo(30, 36, 2))
    (lr / "3x2.png").unlink()
    write_png(lr / "strayx2.png", photo(32, 36, 9))
    (hr / "holiday.tif").write_bytes(b"II*\0")
    write_png(lr / "4.png", photo(32, 36, 4))
    report = check(root)
    found = {kind: messages(report, kind) for kind in ("unreadable", "size", "pairs", "format")}
    assert [len(found[kind]) for kind in found] == [2, 1, 3, 1]
    assert "0.png' is cut short" in found["unreadable"][0]
    assert "1x2.png' is an empty file" in found["unreadable"][1]
    assert "2x2.png' is 36×30 px but must be 36×32 px" in found["size"][0]
    assert "3.png" in found["pairs"][0]
    assert "strayx2.png" in found["pairs"][1]
    assert "4x2.png" in found["pairs"][2]
    assert "holiday.tif" in found["format"][0]
    assert report.n_faults == 7
    assert report.psnr is not None  # of the pairs that are sound


def test_an_incomplete_set_and_an_empty_folder(root, tmp_path):
    report = check(root, last=9)
    assert "has 6 pictures; first=None and last=9" in messages(report, "incomplete")[0]
    (tmp_path / "none" / "HR").mkdir(parents=True)
    report = check(tmp_path / "none", lr_type="on_the_fly")
    assert "contains no picture" in messages(report, "empty")[0]
    assert report.n_faults == 2


def test_odd_colours_are_noticed_and_are_no_faults(root):
    hr = root / "HR"
    write_png(hr / "0.png", photo(64, 72, 0)[..., 0])
    alpha = np.full((64, 72, 1), 128, np.uint8)
    cv2.imwrite(str(hr / "1.png"), np.concatenate([photo(64, 72, 1)[..., ::-1], alpha], axis=2))
    cv2.imwrite(str(hr / "2.png"), photo(64, 72, 2)[..., ::-1].astype(np.uint16) * 257)
    write_png(hr / "3.png", photo(65, 73, 3))
    report = check(root, with_psnr=False, lr_type="on_the_fly")
    assert report.n_faults == 0
    assert report.psnr is None
    assert report.modes == {"rgb 8 bit": 3, "grey 8 bit": 1, "rgba 8 bit": 1, "rgb 16 bit": 1}
    notices = " ".join(messages(report, "colour", fault=False))
    assert "alpha channel, which is ignored: 1.png" in notices
    assert "16 bits a channel, which are rounded to 8: 2.png" in notices
    assert "1 grey, will be read as three equal channels: 0.png" in notices
    assert "1 of 6 ground truths are cropped to a multiple of 2: 3.png" in messages(report, "size", False)[0]


def test_pictures_shared_by_training_and_test(root, tmp_path):
    test_root = tmp_path / "test"
    (test_root / "HR").mkdir(parents=True)
    original = read_rgb(root / "HR" / "4.png")
    write_png(test_root / "HR" / "same.png", original)
    resaved = cv2.imencode(".jpg", cv2.resize(original, (144, 128))[..., ::-1])[1].tobytes()
    (test_root / "HR" / "enlarged.jpg").write_bytes(resaved)
    write_png(test_root / "HR" / "other.png", photo(64, 72, 77))
    arguments = {"root": str(test_root), "scale": 2, "lr_type": "on_the_fly"}
    report, tests = check_set("folder", arguments, with_psnr=False)
    _, train = check_set("folder", {"root": str(root), "scale": 2}, with_psnr=False)
    own = len(report.findings)
    compare("train", train, report, tests)
    assert [(f.fault, f.kind) for f in report.findings[own:]] == [(False, "duplicate"), (True, "duplicate")]
    assert "enlarged.jpg' look like copies" in report.findings[own].message
    assert "same.png' hold the same pixels" in report.findings[own + 1].message


def test_a_picture_twice_in_a_set(root):
    write_png(root / "HR" / "again.png", read_rgb(root / "HR" / "2.png"))
    report = check(root, lr_type="on_the_fly")
    assert messages(report, "duplicate", False) == ["2.png and again.png of this set hold the same pixels."]


def test_wrong_arguments(root):
    with pytest.raises(UnknownNameError, match=r"no data set named 'fodler'\. Did you mean 'folder'"):
        check_set("fodler", {"scale": 2})
    with pytest.raises(RecipeError, match="takes no argument 'splt'"):
        check(root, splt="valid")
    with pytest.raises(DataError, match="there is no folder"):
        check(root / "nowhere")


def test_pictures_of_the_package():
    report = check_set("embedded", {"scale": 3})[0]
    assert (report.n_pictures, report.n_faults) == (3, 0)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "psnr"),
    [("set5", {2: 33.673, 3: 30.403, 4: 28.429}), ("set14", {2: 30.230, 3: 27.537, 4: 25.994})],
)
def test_bicubic_psnr_of_the_real_sets(shared_data, name, psnr):
    for scale, expected in psnr.items():
        report = check_set(name, {"root": str(shared_data), "scale": scale})[0]
        assert abs(report.psnr - expected) < 0.0006
        assert report.verdict == "as published"
        assert report.n_faults == 0


@pytest.mark.shared_data
def test_another_imresize_is_found_out(shared_data, tmp_path):
    (tmp_path / "LR_bicubic" / "X2").mkdir(parents=True)
    (tmp_path / "HR").symlink_to(shared_data / "Set5" / "HR")
    for path in (tmp_path / "HR").iterdir():
        gt = read_rgb(path)
        small = cv2.resize(gt, (gt.shape[1] // 2, gt.shape[0] // 2), interpolation=cv2.INTER_CUBIC)
        write_png(tmp_path / "LR_bicubic" / "X2" / f"{path.stem}x2.png", small)
    report = check_set("set5", {"root": str(tmp_path), "scale": 2})[0]
    assert "not made by MATLAB's imresize" in messages(report, "bicubic")[0]
    assert report.verdict.endswith("dB off")


def test_flat_and_tiny_pictures_are_named_and_left_out_of_the_mean(root):
    psnr = check(root).psnr
    write_png(root / "HR" / "flat.png", np.full((40, 40, 3), 90, np.uint8))
    write_png(root / "HR" / "tiny.png", photo(4, 4, 8))
    write_bicubic(root / "HR", root / "LR_bicubic", [2], overwrite=True)
    report = check(root)
    assert (report.psnr, report.n_faults) == (pytest.approx(psnr), 0)
    small, equal = messages(report, "psnr", fault=False)
    assert small.endswith("so not in the bicubic PSNR: tiny.png.")
    assert equal.endswith("such as flat pictures, so not in the bicubic PSNR: flat.png.")


def test_a_set_of_flat_pictures_has_no_bicubic_psnr(tmp_path):
    (tmp_path / "HR").mkdir()
    write_png(tmp_path / "HR" / "flat.png", np.full((40, 40, 3), 90, np.uint8))
    report = check(tmp_path, lr_type="on_the_fly")
    assert (report.psnr, report.verdict) == (None, "no picture has a bicubic PSNR")
