"""Which files make a data set, and the errors if they do not fit together."""

import numpy as np
import pytest

from srtrain.data import DATASETS
from srtrain.data.folders import div2k, folder
from srtrain.data.picture import write_png
from srtrain.data.store import Pictures
from srtrain.errors import DataError


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
