"""Which files make a data set, and the errors if they do not fit together."""

import os

import numpy as np
import pytest

from srtrain.data import DATASETS
from srtrain.data.folders import div2k, folder
from srtrain.data.picture import write_png
from srtrain.data.store import Pictures
from srtrain.errors import DataError
from srtrain.recipe import Spec


def touch(directory, *names):
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        write_png(directory / name, np.zeros((4, 4), np.uint8))


def test_official_and_equal_names_pair(tmp_path):
    touch(tmp_path / "HR", "a.png", "b.png", "cx2.png")
    touch(tmp_path / "LR_bicubic" / "X2", "ax2.png", "b.png", "cx2.png")
    pairs = folder(str(tmp_path), 2)
    assert [(p.name, p.gt.name, p.lq.name) for p in pairs] == [
        ("a", "a.png", "ax2.png"),
        ("b", "b.png", "b.png"),
        ("cx2", "cx2.png", "cx2.png"),
    ]


def test_places_choose_from_the_sorted_list(tmp_path):
    touch(tmp_path, "c.png", "a.png", "b.png", ".hidden.png")
    pairs = folder(str(tmp_path), 2, "on_the_fly", first=2, last=3)
    assert [(p.name, p.lq) for p in pairs] == [("b", None), ("c", None)]
    with pytest.raises(DataError, match=r"has 3 pictures; first=2 and last=4 must choose from 1 to 3"):
        folder(str(tmp_path), 2, "on_the_fly", first=2, last=4)


def test_without_low_resolution_files_the_way_out_is_named(tmp_path):
    touch(tmp_path / "HR", "a.png")
    with pytest.raises(DataError, match=r"no low-resolution pictures for x2 .*lr_type='on_the_fly'"):
        folder(str(tmp_path), 2)
    touch(tmp_path / "LR_bicubic" / "X3", "a.png")
    with pytest.raises(DataError, match=r"for x2 in .*X2'\. It has X3"):
        folder(str(tmp_path), 2)


def test_at_x1_bicubic_low_resolution_is_the_ground_truth(tmp_path):
    touch(tmp_path / "HR", "a.png")
    assert [pair.lq for pair in DATASETS.build("folder", root=str(tmp_path), scale=1)] == [None]
    with pytest.raises(DataError, match="no low-resolution pictures for x1"):
        DATASETS.build("folder", root=str(tmp_path), scale=1, lr_type="noisy")


def test_missing_folder_says_what_is_there(tmp_path):
    (tmp_path / "Set5").mkdir()
    with pytest.raises(
        DataError, match=r"there is no folder '.*Set6'\. The nearest .* contains the folders Set5"
    ):
        folder(str(tmp_path / "Set6"), 2)


def test_empty_folder(tmp_path):
    (tmp_path / "HR").mkdir()
    (tmp_path / "HR" / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"HR' holds no picture .* among its 1 entries"):
        folder(str(tmp_path), 2, "on_the_fly")


def test_a_file_for_a_folder(tmp_path):
    (tmp_path / "HR").write_text("x")
    with pytest.raises(DataError, match=r"is a file\. Give a folder of pictures"):
        folder(str(tmp_path / "HR"), 2)


def test_pictures_that_are_not_read_are_not_passed_over(tmp_path):
    touch(tmp_path, "a.png")
    (tmp_path / "b.tif").write_bytes(b"II*\0")
    with pytest.raises(DataError, match=r"contains 1 file in an unsupported format: b\.tif"):
        folder(str(tmp_path), 2, "on_the_fly")


def test_unmatched_pairs_name_the_split_both_folders_and_five_files(tmp_path):
    touch(tmp_path / "DIV2K_valid_HR", *(f"{n:04d}.png" for n in range(801, 809)))
    touch(tmp_path / "DIV2K_valid_LR_bicubic" / "X2", "0801x2.png", "0900x2.png")
    with pytest.raises(DataError) as caught:
        div2k(str(tmp_path), 2, split="valid")
    message = str(caught.value)
    assert message.startswith("DIV2K valid set: the pictures of two folders do not match. 7 of '")
    assert "0802.png, 0803.png, 0804.png, 0805.png, 0806.png and 2 more. 1 of" in message
    assert "0900x2.png" in message
    assert "DIV2K_valid_HR" in message
    assert "DIV2K_valid_LR_bicubic/X2" in message


def test_two_files_for_one_picture(tmp_path):
    touch(tmp_path / "HR", "a.png")
    touch(tmp_path / "LR_bicubic" / "X2", "a.png", "ax2.png")
    with pytest.raises(DataError, match=r"1 file in .* for a picture that already has one: ax2\.png"):
        folder(str(tmp_path), 2)


def test_two_ground_truths_of_one_name(tmp_path):
    touch(tmp_path / "HR", "a.png")
    (tmp_path / "HR" / "a.jpg").write_bytes((tmp_path / "HR" / "a.png").read_bytes())
    touch(tmp_path / "LR_bicubic" / "X2", "a.png")
    with pytest.raises(DataError, match=r"1 file in .* for a picture that already has one: a\.png"):
        folder(str(tmp_path), 2)


@pytest.mark.parametrize("scale", [0, 2.0, True, "2"])
def test_scale_is_a_whole_number(tmp_path, scale):
    touch(tmp_path, "a.png")
    with pytest.raises(DataError, match=f"scale={scale!r}"):
        folder(str(tmp_path), scale, "on_the_fly")


@pytest.mark.parametrize(
    ("lr_type", "scale", "directory", "names", "expected"),
    [
        ("bicubic", 2, "DIV2K_train_LR_bicubic/X2", ["0001x2.png"], ["0001"]),
        ("unknown", 3, "DIV2K_train_LR_unknown/X3", ["0001x3.png"], ["0001"]),
        ("mild", 4, "DIV2K_train_LR_mild", ["0001x4m.png"], ["0001x4m"]),
        ("x8", 8, "DIV2K_train_LR_x8", ["0001x8.png"], ["0001"]),
        ("wild", 4, "DIV2K_train_LR_wild", ["0001x4w1.png", "0001x4w2.png"], ["0001x4w1", "0001x4w2"]),
    ],
)
def test_every_part_of_div2k(tmp_path, lr_type, scale, directory, names, expected):
    touch(tmp_path / "DIV2K" / "DIV2K_train_HR", "0001.png")
    touch(tmp_path / "DIV2K" / directory, *names)
    pairs = div2k(str(tmp_path), scale, lr_type=lr_type)
    assert [p.name for p in pairs] == expected
    assert {p.gt.name for p in pairs} == {"0001.png"}


def test_div2k_chooses_by_number_and_misses_none(tmp_path):
    touch(tmp_path / "DIV2K_valid_HR", *(f"{n:04d}.png" for n in range(801, 821)))
    touch(tmp_path / "DIV2K_valid_LR_bicubic" / "X2", *(f"{n:04d}x2.png" for n in range(801, 821)))
    ten = DATASETS.build("div2k_valid10", root=str(tmp_path), scale=2)
    assert [p.name for p in ten] == [f"{n:04d}" for n in range(801, 811)]
    with pytest.raises(DataError, match=r"801 to 900, 80 are missing: 0821, 0822, 0823, 0824, 0825 and 75"):
        DATASETS.build("div2k_valid", root=str(tmp_path), scale=2)
    (tmp_path / "DIV2K_valid_HR" / "0805.png").rename(tmp_path / "DIV2K_valid_HR" / "holiday.png")
    with pytest.raises(DataError, match=r"holiday\.png.* is not named by a number"):
        div2k(str(tmp_path), 2, "valid", "on_the_fly", 801, 804)


def test_benchmark_sets_are_found_and_counted(tmp_path):
    touch(tmp_path / "benchmark" / "Set5" / "HR", *(f"{n}.png" for n in range(5)))
    for root in (tmp_path, tmp_path / "benchmark", tmp_path / "benchmark" / "Set5"):
        assert len(DATASETS.build("set5", root=str(root), scale=2, lr_type="on_the_fly")) == 5
    (tmp_path / "benchmark" / "Set5" / "HR" / "4.png").unlink()
    with pytest.raises(DataError, match=r"Set5 has 5 pictures, but .* has 4"):
        DATASETS.build("set5", root=str(tmp_path), scale=2, lr_type="on_the_fly")
    with pytest.raises(DataError, match="benchmark set Urban100 was not found"):
        DATASETS.build("urban100", root=str(tmp_path), scale=2)


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "n_pictures"), [("set5", 5), ("set14", 14)])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_real_benchmark_sets(shared_data, name, n_pictures, scale):
    pairs = DATASETS.build(name, root=str(shared_data), scale=scale)
    assert len(pairs) == n_pictures
    assert all(p.lq.name == f"{p.name}x{scale}.png" for p in pairs)


def test_what_has_the_name_of_a_picture_does_not_disappear(tmp_path):
    touch(tmp_path, "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "c.png").mkdir()
    (tmp_path / "d.png").symlink_to(tmp_path / "a.png")
    pairs = folder(str(tmp_path), 2, "on_the_fly")
    assert [pair.name for pair in pairs] == ["a", "b", "c", "d"]
    with pytest.raises(DataError, match=r"b\.png': it is a link to '.*gone\.png', which does not exist"):
        Pictures(pairs[:2], 2)
    with pytest.raises(DataError, match=r"c\.png': it is a folder"):
        Pictures(pairs[2:], 2)


def readme_layout(tmp_path):
    """DIV2K with its official folders, and the test sets beside it."""
    for split, first in (("train", 1), ("valid", 801)):
        names = [f"{n:04d}.png" for n in range(first, first + 2)]
        touch(tmp_path / "data" / "DIV2K" / f"DIV2K_{split}_HR", *names)
    touch(tmp_path / "data" / "Set5" / "HR", *(f"{n}.png" for n in range(5)))
    return tmp_path / "data"


@pytest.mark.parametrize("root", ["data/DIV2K", "data", "data/Set5:data/DIV2K", "data/DIV2K:data/Set5", "."])
def test_the_layout_of_the_readme_works_from_every_folder(tmp_path, monkeypatch, root):
    """Training names data/DIV2K, and Set5 lies beside it."""
    data = readme_layout(tmp_path)
    if root == ".":
        monkeypatch.chdir(data / "DIV2K")
    else:
        monkeypatch.chdir(tmp_path)
    given = {"root": root.replace(":", os.pathsep), "scale": 2, "lr_type": "on_the_fly"}
    assert [p.name for p in DATASETS.build("div2k", split="train", **given)] == ["0001", "0002"]
    assert [p.name for p in DATASETS.build("div2k", split="valid", **given)] == ["0801", "0802"]
    assert len(DATASETS.build("set5", **given)) == 5


def test_the_first_root_with_the_set_is_used(tmp_path):
    touch(tmp_path / "a" / "Set5" / "HR", *(f"a{n}.png" for n in range(5)))
    touch(tmp_path / "b" / "Set5" / "HR", *(f"b{n}.png" for n in range(5)))
    for first, other in ("ab", "ba"):
        root = f"{tmp_path / first}{os.pathsep}{tmp_path / other}"
        found = DATASETS.build("set5", root=root, scale=2, lr_type="on_the_fly")
        assert [pair.name for pair in found] == [f"{first}{n}" for n in range(5)]


def test_a_set_in_none_of_the_roots_says_what_is_missing_in_each(tmp_path):
    touch(tmp_path / "a" / "DIV2K_train_HR", "0001.png")
    root = f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'gone'}"
    with pytest.raises(DataError) as caught:
        DATASETS.build("div2k_train", root=root, scale=2)
    head, first, second = str(caught.value).split("\n")
    assert head == "none of 2 folders has the data set:"
    assert "a': there are no low-resolution pictures for x2" in first
    assert "gone': DIV2K train set: there is no folder" in second


def test_a_folder_with_the_separator_in_its_name_is_one_folder(tmp_path):
    root = tmp_path / f"x{os.pathsep}y"
    touch(root, "a.png")
    assert len(DATASETS.build("folder", root=str(root), scale=2, lr_type="on_the_fly")) == 1


def test_pairs_lie_in_two_folders_of_any_name(tmp_path):
    touch(tmp_path / "high", "a.png", "b.png", "c.png")
    touch(tmp_path / "low", "ax2.png", "bx2.png", "c.png")
    touch(tmp_path / "scales" / "X2", "ax2.png", "bx2.png", "cx2.png")
    high = str(tmp_path / "high")
    for low, last in (("low", "c.png"), ("scales", "cx2.png")):
        found = DATASETS.build("pairs", scale=2, gt_dir=high, lq_dir=str(tmp_path / low), first=2)
        assert [(p.gt.name, p.lq.name) for p in found] == [("b.png", "bx2.png"), ("c.png", last)]
    assert [p.lq for p in DATASETS.build("pairs", scale=2, gt_dir=high)] == [None] * 3
    with pytest.raises(
        DataError, match=r"for x3 in .*It has X2.* or leave the low resolution out to make them"
    ):
        DATASETS.build("pairs", scale=3, gt_dir=high, lq_dir=str(tmp_path / "scales"))
    with pytest.raises(DataError, match=r"there is no folder '.*gone'"):
        DATASETS.build("pairs", scale=2, gt_dir=high, lq_dir=str(tmp_path / "gone"))


def test_a_mix_lists_its_sets_as_often_as_they_weigh(tmp_path):
    touch(tmp_path / "one", "a.png")
    touch(tmp_path / "two", "b.png", "c.png")
    one, two = (Spec("folder", root=str(tmp_path / name), lr_type="on_the_fly") for name in ("one", "two"))
    found = DATASETS.build("mix", scale=2, sets=(one, two), weights=(3, 1))
    assert [pair.name for pair in found] == ["a", "a", "a", "b", "c"]
    assert len(DATASETS.build("mix", scale=2, sets=(one, two))) == 3
    of_run = Spec("folder", lr_type="on_the_fly")
    assert len(DATASETS.build("mix", {"root": str(tmp_path / "two")}, scale=2, sets=(one, of_run))) == 3


@pytest.mark.parametrize(
    ("sets", "weights", "says"),
    [
        ((), (), "a mix needs data sets: sets="),
        ((Spec("embedded"),), (1, 2), r"1 data set needs a weight of 1 or more for each; weights=\(1, 2\)"),
        ((Spec("embedded"),), (0,), "a weight of 1 or more"),
        ((Spec("div2k_train"),), (), r"needs its folder: Spec\('div2k_train', root='FOLDER'\)"),
    ],
)
def test_a_mix_that_cannot_be_made(sets, weights, says):
    with pytest.raises(DataError, match=says):
        DATASETS.build("mix", scale=2, sets=sets, weights=weights)
