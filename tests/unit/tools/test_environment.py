"""The errors of tools/environment.sh. That its environments work is tested by .ci/run."""

import os
import shutil
import subprocess
import sys

import pytest


@pytest.fixture
def run_script(repo_root, tmp_path):
    """Run a script of tools/ from another folder, with its own environment."""

    def run(script, **variables):
        return subprocess.run(
            ["sh", str(repo_root / "tools" / script), "--version"],
            cwd=tmp_path,
            env={**os.environ, "SRTRAIN_VENV": str(tmp_path / "its venv"), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def interpreter(folder, name, version):
    """A program that reports another version of Python to the script."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {version}\n" if version else "#!/bin/sh\nexit 127\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("script", ["test.sh", "quickstart.sh"])
@pytest.mark.parametrize("version", ["3.9.18", "3.13.0"])
def test_a_python_without_mindspore_is_named_and_refused(run_script, tmp_path, script, version):
    python = interpreter(tmp_path, "python", version)
    result = run_script(script, PYTHON=python)
    assert result.returncode == 2
    assert result.stderr == (
        f"{script}: found {python} ({version}), but MindSpore has wheels for Python 3.10, 3.11 and 3.12 "
        "only. Install one of these (on Debian and Ubuntu: apt install python3.11 python3.11-venv) and run "
        f"this again, or give its path: PYTHON=/path/to/python3.11 sh tools/{script}\n"
    )
    assert not (tmp_path / "its venv").exists()


def test_every_python_that_was_tried_is_named(run_script, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    interpreter(folder, "python3.12", "")
    interpreter(folder, "python3", "3.14.1")
    for tool in ("sh", "dirname", "basename", "sed"):
        (folder / tool).symlink_to(str(shutil.which(tool)))
    result = run_script("test.sh", PATH=str(folder), PYTHON="")
    assert result.returncode == 2
    assert "found python3.12 that does not run, python3 (3.14.1), but MindSpore has wheels" in result.stderr


def test_a_python_that_is_not_there_is_refused(run_script):
    result = run_script("quickstart.sh", PYTHON="/nowhere/python3.11")
    assert result.returncode == 2
    assert result.stderr == (
        "quickstart.sh: PYTHON is '/nowhere/python3.11', but there is no such program. "
        "Set it to another one, or unset it.\n"
    )


def test_a_folder_that_the_script_did_not_make_is_never_emptied(run_script, tmp_path):
    precious = tmp_path / "its venv" / "precious"
    precious.parent.mkdir()
    precious.write_text("years of work")
    result = run_script("test.sh", PYTHON=sys.executable)
    assert result.returncode == 2
    assert (
        "its venv exists and was not created by this script. Remove it, or choose another folder"
        in result.stderr
    )
    assert precious.read_text() == "years of work"
