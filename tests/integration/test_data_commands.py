"""``srtrain data``: the four actions as a user types them."""

import json
import zipfile

import numpy as np
import pytest

from srtrain.cli.main import execute, read
from srtrain.data.picture import write_png
from srtrain.errors import DataError, UserError


def srtrain(*words):
    return execute(read(["data", *map(str, words)]))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "HR").mkdir()
    for i in range(3):
        write_png(
            tmp_path / "HR" / f"{i}.png", np.random.default_rng(i).integers(0, 256, (48, 50, 3), np.uint8)
        )
    return tmp_path


def test_bicubic_then_check_then_cache(root, tmp_path, capsys):
    assert srtrain("bicubic", root / "HR", "--scale", 2, 3) == 0
    assert f"wrote 6 pictures below {root / 'LR_bicubic'}" in capsys.readouterr().out
    assert srtrain("check", "folder", "--root", root, "--scale", 2, 3) == 0
    table = capsys.readouterr().out
    assert "no faults" in table
    assert "x3     3      50×48 px to 50×48 px  3 rgb 8 bit" in table
    assert srtrain("cache", "folder", "--root", root, "--scale", 2, "--dir", tmp_path / "cache") == 0
    assert "folder x2: 3 pairs, 0.00 GB, 6 files decoded now" in capsys.readouterr().out
    assert srtrain("cache", "folder", "--root", root, "--scale", 2, "--dir", tmp_path / "cache") == 0
    assert "0 files decoded now" in capsys.readouterr().out


def test_several_sets_at_once(root, tmp_path, capsys):
    other = tmp_path / "other" / "HR"
    other.mkdir(parents=True)
    write_png(other / "a.png", np.zeros((8, 8, 3), np.uint8))
    words = ("folder", f"folder={other.parent}", "lr_type=on_the_fly", "--root", root, "--no-psnr", "--json")
    assert srtrain("check", *words) == 0
    found = json.loads(capsys.readouterr().out)["sets"]
    assert [one["n_pictures"] for one in found] == [3, 1]
    with pytest.raises(UserError, match="no data set named 'set15'"):
        srtrain("check", "set5", "set15", "--root", root)


def test_a_fault_ends_with_one_and_json_says_which(root, capsys):
    (root / "HR" / "1.png").write_bytes(b"")
    assert srtrain("check", "folder", "lr_type=on_the_fly", "--root", root, "--json") == 1
    result = json.loads(capsys.readouterr().out)
    assert result["ok"] is False
    (finding,) = [f for f in result["sets"][0]["findings"] if f["fault"]]
    assert "1.png' is an empty file" in finding["message"]
    assert srtrain("check", "folder", "lr_type=on_the_fly", "--root", root) == 1
    text = capsys.readouterr().out
    assert "folder x2: FAULT (unreadable): picture " in text
    assert text.endswith("1 fault\n")


def test_training_and_test_sets_that_share_a_picture(root, tmp_path, capsys):
    benchmark = tmp_path / "Set5" / "HR"
    benchmark.mkdir(parents=True)
    for i in range(2, 7):
        write_png(benchmark / f"{i}.png", np.random.default_rng(i).integers(0, 256, (48, 50, 3), np.uint8))
    srtrain("bicubic", benchmark, "--scale", 2)
    words = ("folder", "lr_type=on_the_fly", "--root", root, "--no-psnr", "--against", f"set5={tmp_path}")
    assert srtrain("check", *words) == 1
    assert "2.png' hold the same pixels: a score on it would not be valid" in capsys.readouterr().out


def test_unpack(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "DIV2K_valid_HR.zip", "w") as archive:
        for k in range(801, 901):
            archive.writestr(f"DIV2K_valid_HR/{k:04d}.png", b"png")
    assert srtrain("unpack", tmp_path / "DIV2K_valid_HR.zip", "--to", tmp_path / "DIV2K") == 0
    assert "DIV2K_valid_HR: 100 pictures, as expected" in capsys.readouterr().out


def test_words_that_are_no_settings(root):
    with pytest.raises(UserError, match="there is no data set named 'on_the_fly'"):
        srtrain("check", "folder", "on_the_fly", "--root", root)
    with pytest.raises(DataError, match="--scale 1 does not make a picture smaller"):
        srtrain("bicubic", root / "HR", "--scale", 1)


@pytest.mark.shared_data
def test_set14_has_a_grey_picture_and_sizes_to_crop(shared_data, capsys):
    assert srtrain("check", "set14", "--root", shared_data, "--scale", 3) == 0
    text = capsys.readouterr().out
    assert "27.537 dB  27.55 dB   as published" in text
    assert "1 grey, will be read as three equal channels: bridge.png" in text
    assert "12 of 14 ground truths are cropped to a multiple of 3" in text
