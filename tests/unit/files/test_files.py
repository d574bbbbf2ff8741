"""Files that are complete or not there, locks, import by path, free space."""

import os
import py_compile
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from srtrain import files
from srtrain.files import (
    HeldError,
    import_file,
    lack_of_space,
    python_program,
    take_lock,
    whole_file,
    whole_files,
    whole_folder,
    write_whole,
)


@pytest.fixture(params=[0o022, 0o027, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path):
    return path.stat().st_mode & 0o777


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_and_fail(context, place=lambda hidden: hidden):
    with context as hidden:
        place(hidden).write_text("new")
        raise KeyboardInterrupt


def test_text_and_bytes(tmp_path):
    write_whole(tmp_path / "a", "größer\n")
    write_whole(tmp_path / "b", b"\x00\r\n")
    assert (tmp_path / "a").read_bytes() == "größer\n".encode()
    assert (tmp_path / "b").read_bytes() == b"\x00\r\n"
    assert names(tmp_path) == ["a", "b"]


def test_a_block_that_fails_leaves_everything_as_it_was(tmp_path):
    write_whole(tmp_path / "a.txt", "old")
    with pytest.raises(KeyboardInterrupt):
        write_and_fail(whole_file(tmp_path / "a.txt"))
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "a.txt", "new \ud800")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_the_hidden_file_is_a_neighbour_with_the_same_suffix(tmp_path):
    with whole_file(tmp_path / "a.PNG") as hidden:
        assert (hidden.parent, hidden.suffix, hidden.name[0]) == (tmp_path, ".PNG", ".")


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "x." + "y" * 253])
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path, name):
    write_whole(tmp_path / name, "content")
    assert names(tmp_path) == [name]


def test_permissions_are_those_of_any_new_file(tmp_path, umask):
    def write(file):
        file.write_text("old")
        file.chmod(0o400)  # as MindSpore leaves its files

    with whole_file(tmp_path / "one") as hidden:
        write(hidden)
    with whole_files(tmp_path / "several") as hidden:
        write(hidden)
        write(hidden.with_name("companion"))
    with whole_folder(tmp_path / "folder") as hidden:
        write(hidden / "inside")
    for file in ("one", "several", "companion", "folder/inside"):
        assert mode(tmp_path / file) == 0o666 & ~umask
    assert mode(tmp_path / "folder") == 0o777 & ~umask


def test_a_missing_folder_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "gone" / "a", "")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        write_whole(tmp_path / "file" / "a", "")
    assert names(tmp_path) == ["file"]


def test_two_threads_may_write_one_file(tmp_path):
    both = threading.Barrier(2)

    def write(letter):
        with whole_file(tmp_path / "a") as hidden:
            both.wait()
            hidden.write_text(letter * 100_000)
            both.wait()

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "xy"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a").read_text() in ("x" * 100_000, "y" * 100_000)
    assert names(tmp_path) == ["a"]


def test_a_file_and_its_companions_move_together(tmp_path, monkeypatch):
    for content in ("old", "new"):
        with whole_files(tmp_path / "new" / "net.param") as hidden:
            hidden.write_text(content)
            hidden.with_suffix(".bin").write_text(content)
    assert names(tmp_path / "new") == ["net.bin", "net.param"]
    assert (tmp_path / "new" / "net.bin").read_text() == "new"

    seen = []
    move = files._move
    monkeypatch.setattr(files, "_move", lambda *args: (seen.append(names(tmp_path / "new")), move(*args)))
    with whole_files(tmp_path / "new" / "net.param") as hidden:
        hidden.write_text("newer")
        hidden.with_suffix(".bin").write_text("newer")
    assert ["net.param" in there for there in seen] == [
        False,
        False,
    ]  # the old one went first, the new comes last


def test_companions_of_a_block_that_fails_do_not_stay(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_and_fail(whole_files(tmp_path / "net.param"), lambda hidden: hidden.with_suffix(".bin"))
    assert names(tmp_path) == []


def test_a_folder_replaces_an_older_one(tmp_path):
    for content in ("old", "new"):
        with whole_folder(tmp_path / "step_1") as hidden:
            (hidden / content).write_text(content)
            assert hidden.parent == tmp_path
            assert hidden.name.startswith(".")
    assert names(tmp_path) == ["step_1"]
    assert names(tmp_path / "step_1") == ["new"]


def test_a_folder_of_a_block_that_fails_does_not_stay(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_and_fail(whole_folder(tmp_path / "step_1"), lambda hidden: hidden / "a")
    assert names(tmp_path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from srtrain import files
target, fatal = Path(sys.argv[1]), int(sys.argv[2])
flush, n = files._flush, 0
def flush_and_die(path):
    global n
    n += 1
    if n == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    flush(path)
files._flush = flush_and_die
with files.whole_folder(target) as hidden:
    (hidden / "a").write_text("new")
    (hidden / "b").write_text("new")
print("survived")
"""


def test_a_kill_at_any_moment_leaves_the_older_folder_or_the_new_one(tmp_path):
    target = tmp_path / "step_1"
    for fatal in (1, 2, 3, 4, 5):  # two files, the hidden folder, the folder above after the rename; none
        shutil.rmtree(target, ignore_errors=True)
        run = subprocess.run(
            [sys.executable, "-c", KILLED, str(target), str(fatal)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == (0 if fatal == 5 else -signal.SIGKILL), run.stderr
        assert target.exists() == (fatal > 3)
        if target.exists():
            assert names(target) == ["a", "b"]
    with whole_folder(target) as hidden:
        (hidden / "c").write_text("")
    assert names(tmp_path) == ["step_1"]


HOLD = """
import sys
from pathlib import Path
from srtrain.files import take_lock
with take_lock(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("end", ["close", "kill"])
def test_a_lock_names_its_holder_and_ends_with_it(tmp_path, end):
    file = tmp_path / "made" / "lock"
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        for _ in range(2):  # looking does not harm the lock
            with pytest.raises(HeldError, match=rf"^process {other.pid} on .+"):
                take_lock(file)
        said = []

        def let_go(holder):
            said.append(holder)
            if end == "kill":
                other.kill()
            else:
                other.stdin.write("\n")
                other.stdin.flush()

        with take_lock(file, let_go):
            assert said[0].startswith(f"process {other.pid} on ")
            assert len(said) == 1
            with pytest.raises(HeldError, match=rf"^process {os.getpid()} on "):
                take_lock(file)
        with take_lock(file):
            pass


def test_a_lock_that_cannot_be_made_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        take_lock(tmp_path / "file" / "lock")


def test_import_by_path(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass A:\n    b: int = 7\n"
    )
    module = import_file(file, "test_of_files")
    assert module.A().b == 7
    assert sys.modules["test_of_files_mine"] is module
    file.write_text("raise SystemExit('no')")
    with pytest.raises(SystemExit):
        import_file(file, "test_of_files")
    assert "test_of_files_mine" not in sys.modules
    with pytest.raises(ImportError, match=r"mine\.txt' is not a Python file: its name must end in \.py"):
        import_file(tmp_path / "mine.txt", "test_of_files")


def test_lack_of_space_says_both_numbers_and_where(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    assert lack_of_space(tmp_path / "new" / "folder", 1) == ""
    problem = lack_of_space(tmp_path / "new" / "folder", free + 10**12)
    assert f"{free + 10**12:,}"[:3] in problem
    assert problem.endswith(f"are free on the disk of {str(tmp_path)!r}")
    assert lack_of_space(Path("gone"), 10**18).endswith(f"on the disk of {str(Path.cwd())!r}")


def test_the_bytecode_beside_a_file_is_not_run(tmp_path):
    """Python would take bytecode marked as unchecked without looking at the source."""
    file = tmp_path / "shown.py"
    file.write_text("who = 'evil'")
    py_compile.compile(str(file), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    file.write_text("who = 'the source'")
    assert import_file(file, "test_bytecode").who == "the source"


@pytest.mark.parametrize("place", ["", "elsewhere"])
def test_a_program_finds_modules_in_the_working_folder_only_if_this_process_does(
    place, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place, *(entry for entry in sys.path if entry)])
    (tmp_path / "this.py").write_text("print('evil')")
    (tmp_path / "runpy.py").write_text("print('evil')") if place else None
    done = subprocess.run([*python_program("this"), "word"], capture_output=True, text=True, check=True)
    assert ("evil" in done.stdout) == (not place)
    assert "Tim Peters" in done.stdout or not place
