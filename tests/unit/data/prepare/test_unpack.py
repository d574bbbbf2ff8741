"""Official zip files are unpacked and counted; malicious ones write no file."""

import os
import stat
import zipfile

import pytest

from srtrain.data.prepare.unpack import unpack
from srtrain.errors import DataError, MachineError


def zipped(path, names, content=b"png"):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return path


def valid_hr(n=100):
    return ["DIV2K_valid_HR/", *(f"DIV2K_valid_HR/{k:04d}.png" for k in range(801, 801 + n))]


def test_an_official_zip_is_unpacked_and_counted(tmp_path):
    archive = zipped(tmp_path / "DIV2K_valid_HR.zip", valid_hr())
    (part,) = unpack(archive, tmp_path / "to")
    assert (part.folder, part.n_pictures, part.n_expected) == ("DIV2K_valid_HR", 100, 100)
    assert len(list((tmp_path / "to" / "DIV2K_valid_HR").iterdir())) == 100
    assert (tmp_path / "to" / "DIV2K_valid_HR" / "0900.png").read_bytes() == b"png"


@pytest.mark.slow
def test_the_folder_level_of_a_scale_counts_too(tmp_path):
    names = [f"DIV2K_train_LR_bicubic/X2/{k:04d}x2.png" for k in range(1, 801)]
    (part,) = unpack(zipped(tmp_path / "a.zip", names), tmp_path)
    assert part.n_expected == 800
    names = [f"DIV2K_train_LR_wild/{k:04d}x4w{v}.png" for k in range(1, 801) for v in range(1, 5)]
    (part,) = unpack(zipped(tmp_path / "b.zip", names), tmp_path)
    assert part.n_expected == part.n_pictures == 3200


def test_missing_pictures_are_counted(tmp_path):
    archive = zipped(tmp_path / "a.zip", valid_hr(97))
    with pytest.raises(DataError, match=r"a\.zip' is incomplete: DIV2K_valid_HR has 97 of 100 pictures"):
        unpack(archive, tmp_path)


def test_other_zips_have_no_number_to_keep(tmp_path):
    (part,) = unpack(zipped(tmp_path / "a.zip", ["Set5/HR/baby.png", "Set5/readme.txt"]), tmp_path / "to")
    assert (part.n_pictures, part.n_expected) == (1, None)
    assert (tmp_path / "to" / "Set5" / "readme.txt").is_file()


@pytest.mark.parametrize(
    "name", ["../evil.png", "/evil.png", "a/../../evil.png", "C:\\evil.png", "..\\evil.png"]
)
def test_names_that_lead_out_are_refused_as_a_whole(tmp_path, name):
    archive = zipped(tmp_path / "a.zip", ["good.png", name])
    with pytest.raises(DataError, match=r"points outside the target folder\. Nothing was unpacked"):
        unpack(archive, tmp_path / "to")
    assert [path.name for path in tmp_path.rglob("*")] == ["a.zip"]


def test_links_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match=r"contains 'link\.png', a name or link that points outside"):
        unpack(tmp_path / "a.zip", tmp_path / "to")


def test_a_damaged_zip(tmp_path):
    archive = zipped(tmp_path / "a.zip", ["a.png"], content=bytes(range(256)) * 8)
    data = bytearray(archive.read_bytes())
    data[400] ^= 0xFF
    archive.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"a\.zip' is damaged .*Bad CRC-32.*Download it again"):
        unpack(archive, tmp_path / "to")
    archive.write_bytes(bytes(data[:300]))
    with pytest.raises(DataError, match="is damaged or not readable: File is not a zip file"):
        unpack(archive, tmp_path / "to")


def test_a_zip_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*nowhere\.zip': No such file"):
        unpack(tmp_path / "nowhere.zip", tmp_path)


def with_a_lie(path, n_bytes):
    """Write a zip whose directory gives a wrong file size."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"png")
        archive.filelist[0].file_size = n_bytes
    return path


def test_a_zip_larger_than_the_disk(tmp_path):
    archive = with_a_lie(tmp_path / "a.zip", 2**60)
    with pytest.raises(
        MachineError, match=rf"does not fit: {2**60:,} bytes are needed and .* Nothing was unpacked"
    ):
        unpack(archive, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_size_that_is_not_true(tmp_path):
    with pytest.raises(DataError, match=r"damaged .*'a\.png' has 3 bytes, not 1000"):
        unpack(with_a_lie(tmp_path / "a.zip", 1000), tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []


def test_a_bomb_is_refused_from_its_directory(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(4):
            archive.writestr(f"{k}.png", bytes(40_000_000))
    with pytest.raises(
        DataError,
        match=r"a\.zip' is refused: its \d+,\d+ bytes would become 160,000,000 bytes, .*Nothing was unp",
    ):
        unpack(tmp_path / "a.zip", tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_large_member_needs_no_memory(tmp_path, cramped):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.png", bytes(150_000_000))
    with cramped(50_000_000):
        unpack(tmp_path / "a.zip", tmp_path / "to")
    assert (tmp_path / "to" / "a.png").stat().st_size == 150_000_000


def test_a_member_without_a_name(tmp_path):
    for name in (".", "", "./."):
        zipped(tmp_path / "a.zip", ["a.png", zipfile.ZipInfo(name)])
        with pytest.raises(DataError, match=r"a\.zip' contains a file without a name\. Nothing was unpacked"):
            unpack(tmp_path / "a.zip", tmp_path / "to")


@pytest.mark.parametrize("names", [("a.png", "a.png"), ("a", "a/b.png"), ("a/b/c.png", "a/b")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice(tmp_path, names):
    zipped(tmp_path / "a.zip", names)
    with pytest.raises(
        DataError, match=r"a\.zip' contains 'a.*' twice, or as a file and as a folder\. Nothing was unp"
    ):
        unpack(tmp_path / "a.zip", tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_what_the_system_refuses_is_told_apart(tmp_path):
    zipped(tmp_path / "long.zip", ["n" * 300 + ".png"])
    with pytest.raises(DataError, match=r"long\.zip': cannot write '.*/to/n{300}\.png': File name too long"):
        unpack(tmp_path / "long.zip", tmp_path / "to")
    (tmp_path / "folder.zip").mkdir()
    with pytest.raises(DataError, match=r"cannot read zip file '.*folder\.zip': Is a directory"):
        unpack(tmp_path / "folder.zip", tmp_path / "to")
    (tmp_path / "loop.zip").symlink_to("loop.zip")
    with pytest.raises(
        DataError, match=r"cannot read zip file '.*loop\.zip': Too many levels of symbolic links"
    ):
        unpack(tmp_path / "loop.zip", tmp_path / "to")
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(DataError, match=r"cannot read zip file '.*pipe\.zip': it is not a regular file"):
        unpack(tmp_path / "pipe.zip", tmp_path / "to")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"long\.zip': cannot write '.*/file/to': Not a directory"):
        unpack(tmp_path / "long.zip", tmp_path / "file" / "to")


def test_a_directory_that_points_before_the_file(tmp_path):
    archive = zipped(tmp_path / "a.zip", ["a.png"])
    data = bytearray(archive.read_bytes())
    at = data.rindex(b"PK\x01\x02") + 42
    data[at : at + 4] = b"\xff\xff\xff\x7f"
    archive.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.zip' is damaged"):
        unpack(archive, tmp_path / "to")
