"""The library is built once per processor, sources and compiler; without a compiler the error says what to do."""

import os
import signal
import subprocess
import sys
import time

import pytest

from srtrain.errors import DeviceError
from srtrain.files import python_program
from srtrain.infer.open import open_engine
from srtrain.kernels import compile as build
from srtrain.kernels import library as library_module
from srtrain.kernels.compile import CannotBuildError

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SRTRAIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_it_is_built_once(cache):
    file = build.library_file()
    assert file.parent == cache / "kernels"
    stamp = file.stat().st_mtime_ns
    assert build.library_file() == file
    assert file.stat().st_mtime_ns == stamp
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_other_sources_flags_and_compilers_are_other_files(tmp_path, monkeypatch):
    words = build.compiler_words(["cc"], build.instruction_set())
    keys = {build._key(words, "1"), build._key(words, "2"), build._key([*words, "-g"], "1")}
    (tmp_path / "changed.c").write_text("int changed;")
    monkeypatch.setattr(build, "SOURCE", tmp_path)
    assert len(keys | {build._key(words, "1")}) == 4


def test_without_a_compiler_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    with pytest.raises(CannotBuildError, match=r"no C compiler; install one .*ziglang"):
        build.library_file()
    library_module.load_library.cache_clear()
    (tmp_path / "net.native").write_bytes(b"")
    with pytest.raises(DeviceError, match="the engine 'native' cannot be used: there is no C compiler"):
        open_engine(tmp_path / "net.native", "native")


def test_ziglang_compiles_where_the_system_has_no_compiler(monkeypatch, tmp_path, cache):
    pytest.importorskip("ziglang")
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    monkeypatch.chdir(tmp_path)  # a module of this name in the working folder does not run in its place
    monkeypatch.setattr("sys.path", [place for place in sys.path if place not in ("", str(tmp_path))])
    (tmp_path / "ziglang.py").write_text("raise SystemExit('a stranger')")
    library_module.load_library.cache_clear()
    assert library_module.load_library().lanes in (4, 8, 16)


def test_it_compiles_for_other_machines(tmp_path):
    pytest.importorskip("ziglang")
    words = build.compiler_words(
        [*python_program("ziglang"), "cc", "-target", "aarch64-linux-gnu"], "portable"
    )
    build.compile_library(words, tmp_path / "arm.so")
    header = (tmp_path / "arm.so").read_bytes()[:20]
    assert (header[:4], header[18]) == (b"\x7fELF", 183)  # EM_AARCH64


def test_a_compiler_that_fails_is_quoted(tmp_path, monkeypatch, cache):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "broken.c").write_text("int main( {")
    monkeypatch.setattr(build, "SOURCE", tmp_path / "source")
    with pytest.raises(CannotBuildError, match=r"failed: .*error"):
        build.library_file()
    assert list((cache / "kernels").iterdir()) == []


def test_a_damaged_library_is_built_again(cache):
    file = build.library_file()
    file.unlink()
    file.write_bytes(b"damaged")
    library_module.load_library.cache_clear()
    assert library_module.load_library().lanes in (4, 8, 16)
    assert file.stat().st_size > 1000


def test_two_processes_may_build_at_once(cache):
    code = "from srtrain.kernels.library import load_library; print(load_library().file)"
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    files = {process.communicate(timeout=120)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(files) == 1
    assert len(list((cache / "kernels").iterdir())) == 1


def test_a_library_that_computes_something_else_is_refused(monkeypatch):
    monkeypatch.setattr(library_module, "_self_check", lambda library, method: 0.5)
    library_module.load_library.cache_clear()
    with pytest.raises(CannotBuildError, match=r"is wrong by 0\.5 of the largest value"):
        library_module.load_library()


@pytest.fixture(autouse=True)
def _forget_the_library():
    yield
    library_module.load_library.cache_clear()


def test_a_build_that_is_killed_leaves_nothing_for_long(cache):
    build_it = "from srtrain.kernels.compile import library_file; print(library_file())"
    process = subprocess.Popen([sys.executable, "-c", build_it], start_new_session=True)
    folder = cache / "kernels"
    while not (folder.is_dir() and list(folder.iterdir())):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert [entry.suffix for entry in folder.iterdir()] == [".so"]
    file = build.library_file()
    assert list(folder.iterdir()) == [file]


def test_processes_that_need_it_at_once_build_it_once(cache):
    build_it = "from srtrain.kernels.compile import library_file; print(library_file().stat().st_ino)"
    words = [sys.executable, "-c", build_it]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert len({process.communicate()[0] for process in processes}) == 1
