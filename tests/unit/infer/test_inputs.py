"""Which inputs a command line selects and where their outputs go, with real folders."""

import os
from pathlib import Path

import pytest

from srtrain.errors import DataError, RecipeError
from srtrain.infer.inputs import STANDARD, Job, make_plan


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with pictures, other files and a hidden one."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "photos/b.png",
        "photos/deep/a.JPG",
        "photos/.thumbs/b.png",
        "photos/notes.txt",
        "photos/f.mp4",
        "c.png",
    ):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def plan(*inputs, to=None, suffix=None, scale=2):
    return {str(job.source): str(job.target) for job in make_plan(inputs, to, scale, suffix).jobs}


def test_a_file_goes_beside_under_a_name_with_the_scale():
    assert plan("c.png") == {"c.png": "c_x2.png"}
    assert plan("photos/deep/a.JPG", scale=3) == {"photos/deep/a.JPG": "photos/deep/a_x3.JPG"}
    assert plan("c.png", suffix=".webp") == {"c.png": "c_x2.webp"}
    assert plan("photos/f.mp4", suffix=".webp") == {"photos/f.mp4": "photos/f_x2.mp4"}


def test_a_file_goes_to_a_file_or_into_a_folder():
    assert plan("c.png", to="d.jpg") == {"c.png": "d.jpg"}
    assert plan("c.png", to="out") == {"c.png": "out/c.png"}
    Path("odd.png").mkdir()
    assert plan("c.png", to="odd.png") == {"c.png": "odd.png/c.png"}
    assert plan("c.png", "photos/b.png", to="out", suffix=".tif") == {
        "c.png": "out/c.tif",
        "photos/b.png": "out/b.tif",
    }


def test_a_folder_keeps_its_structure_and_says_what_it_left_out():
    expected = {"photos/b.png": "photos_x2/b.png", "photos/deep/a.JPG": "photos_x2/deep/a.JPG"}
    assert plan("photos") == expected
    assert plan("photos/") == expected
    assert plan("photos", to="out") == {"photos/b.png": "out/b.png", "photos/deep/a.JPG": "out/deep/a.JPG"}
    [note] = make_plan(["photos"], None, 2).notes
    assert note == (
        "2 other files in 'photos' left out, such as f.mp4. To upscale videos, name the files or use a pattern."
    )


def test_the_working_folder_and_an_output_inside_of_the_input():
    os.chdir("photos")
    assert plan(".")["b.png"] == str(Path.cwd().with_name("photos_x2") / "b.png")
    Path("out").mkdir()
    Path("out/b.png").touch()
    assert plan(".", to="out") == {"b.png": "out/b.png", "deep/a.JPG": "out/deep/a.JPG"}


def test_a_pattern():
    assert plan("photos/**/*.[pJ]*") == {
        "photos/b.png": "photos/b_x2.png",
        "photos/deep/a.JPG": "photos/deep/a_x2.JPG",
    }
    assert plan("photos/*", to="out") == {"photos/b.png": "out/b.png", "photos/f.mp4": "out/f.mp4"}
    assert plan(str(Path.cwd() / "photos" / "*" / "*"), to="out") == {
        str(Path.cwd() / "photos/deep/a.JPG"): "out/deep/a.JPG"
    }
    Path("odd[1].png").touch()
    assert plan("odd[1].png") == {"odd[1].png": "odd[1]_x2.png"}


def test_what_the_last_run_made_is_no_input():
    Path("c_x2.png").touch()
    made = make_plan(["*.png"], None, 2)
    assert made.jobs == [Job(Path("c.png"), Path("c_x2.png"), "png")]
    assert made.notes == ["1 output of an earlier run left out, such as c_x2.png."]


def test_standard_input_and_output():
    assert make_plan(["-"], None, 2).jobs == [Job(STANDARD, STANDARD)]
    assert make_plan(["-"], "d.webp", 2).jobs == [Job(STANDARD, Path("d.webp"), "webp")]
    assert make_plan(["c.png"], "-", 2, ".jpg").jobs == [Job(Path("c.png"), STANDARD, "jpeg")]


def test_a_missing_file_keeps_its_job_and_is_named_when_it_is_read():
    assert plan("gone.png", "c.png") == {"gone.png": "gone_x2.png", "c.png": "c_x2.png"}


@pytest.mark.parametrize(
    ("inputs", "to", "suffix", "message"),
    [
        (["photos"], "d.png", None, r"--to d\.png is one file, but photos may be many\. Give a folder"),
        (["*.png"], "-", None, r"--to - is one file, but \*\.png may be many"),
        (
            ["c.png", "photos/b.png"],
            "d.png",
            None,
            r"--to d\.png is one file, but c\.png, photos/b\.png may be many",
        ),
        (
            ["-"],
            "out",
            None,
            "a picture from standard input has no name: give a file with --to, not the folder 'out'",
        ),
        (["c.png"], "d.jpg", ".png", r"--to d\.jpg and --format png contradict each other"),
        (["c.png"], "d.gif", None, r"--to d\.gif: \.gif files cannot be written\. Use one of \.png, \.jpg"),
        (
            ["c.png"],
            "d.mp4",
            None,
            r"'c\.png' cannot become 'd\.mp4': one is a video and the other is a picture",
        ),
        (["photos/f.mp4"], "-", None, r"'photos/f\.mp4' cannot become '-'"),
    ],
)
def test_inputs_and_outputs_that_make_no_sense_together(inputs, to, suffix, message):
    with pytest.raises(RecipeError, match=message):
        make_plan(inputs, to, 2, suffix)


def test_a_folder_is_not_its_own_target(tmp_path):
    for to in ("photos", "./photos/", str(Path("photos").resolve())):
        with pytest.raises(
            RecipeError, match="is the folder of the inputs, whose files the results would replace"
        ):
            make_plan(["photos"], to, 2)


def test_nothing_found_and_outputs_that_collide():
    with pytest.raises(DataError, match=r"no picture or video matches 'photos/\*\.bmp'"):
        make_plan(["photos/*.bmp"], None, 2)
    Path("empty").mkdir()
    with pytest.raises(DataError, match="there is no picture in 'empty'"):
        make_plan(["empty"], None, 2)
    with pytest.raises(DataError, match=r"'c\.png' would be replaced by its own output; choose another --to"):
        make_plan(["c.png"], ".", 2)
    Path("photos/c.png").touch()
    with pytest.raises(DataError, match=r"'c\.png' and 'photos/c\.png' would both become 'out/c\.png'"):
        make_plan(["c.png", "photos/c.png"], "out", 2)


def test_a_link_to_itself_keeps_its_job_too():
    Path("loop.png").symlink_to("loop.png")
    assert plan("c.png", "loop.png", to="out") == {"c.png": "out/c.png", "loop.png": "out/loop.png"}
