"""Write a file or folder completely or not at all, lock, import a file by its path, check for free space.

Every other module uses these functions instead of writing its own. They raise ``OSError``, which the caller turns into
a message that says what the user can do.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.util
import os
import platform
import shutil
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

_unfinished: set[Path] = set()
_unfinished_lock = threading.RLock()  # reentrant: a signal handler may need it in the thread that holds it


@contextlib.contextmanager
def unfinished(path: Path) -> Iterator[None]:
    """Within this context, ``path`` is a file or folder that ``delete_unfinished`` deletes."""
    with _unfinished_lock:
        _unfinished.add(path)
    try:
        yield
    finally:
        with _unfinished_lock:
            _unfinished.discard(path)


def delete_unfinished() -> None:
    """Delete what is only partly written. The process must end now: it cannot begin another file."""
    _unfinished_lock.acquire()  # for ever
    for path in _unfinished:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a hidden file beside ``path`` to write to; it becomes ``path`` when the block ends without an error.

    The content reaches the disk before the name does, so ``path`` is complete or as it was, even after a crash. If the
    block fails, the hidden file is deleted; if the process is killed, it stays. It has the suffix of ``path``, because
    some libraries choose the format by it. Permissions follow the umask, as for any new file.

    Raises:
        OSError: the folder is missing or not writable, or the disk is full.
    """
    suffix = path.suffix if len(path.suffix) <= 16 else ""
    hidden = path.with_name(
        f".{os.urandom(8).hex()}.part{suffix}"
    )  # short: path's own name may be as long as allowed
    with unfinished(hidden), _named(path):
        os.close(os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            mode = stat.S_IMODE(hidden.stat().st_mode)
            yield hidden
            _move(hidden, path, mode)
            _flush(path.parent)
        finally:
            hidden.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write text (as UTF-8) or bytes with ``whole_file``.

    Raises:
        OSError: the folder is missing or not writable, or the disk is full.
    """
    data = content.encode() if isinstance(content, str) else content
    with whole_file(path) as hidden:
        hidden.write_bytes(data)


@contextlib.contextmanager
def whole_files(path: Path) -> Iterator[Path]:
    """Do what ``whole_file`` does for a writer that puts other files beside its own: yield a file in a hidden folder.

    When the block ends without an error, all files of that folder move to the folder of ``path``, which is made where
    it is missing. An older ``path`` is deleted first and the new one moves last, so that an existing ``path`` always
    has its own files beside it.

    Raises:
        OSError: the folder is not writable, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{os.urandom(8).hex()}.part")
    with unfinished(hidden), _named(path):
        hidden.mkdir()
        try:
            mode = stat.S_IMODE(hidden.stat().st_mode) & 0o666
            yield hidden / path.name
            path.unlink(missing_ok=True)
            for file in sorted(hidden.iterdir(), key=lambda file: file.name == path.name):
                _move(file, path.parent / file.name, mode)
            _flush(path.parent)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a new hidden folder beside ``path``; it becomes ``path`` when the block ends without an error.

    All its files reach the disk before the name does. An older ``path`` is replaced. Only one process may write a
    ``path`` at a time: the name of the hidden folder is always the same, so that the next attempt deletes what a killed
    process left.

    Raises:
        OSError: the folder above is not writable, or the disk is full.
    """
    hidden = path.with_name(f".{path.name[:60]}.part")  # at most 246 bytes of the 255 that a name may have
    shutil.rmtree(hidden, ignore_errors=True)
    with unfinished(hidden):
        try:
            hidden.mkdir(parents=True)
            mode = stat.S_IMODE(hidden.stat().st_mode) & 0o666
            yield hidden
            for inside in hidden.rglob("*"):
                if inside.is_file():
                    inside.chmod(
                        mode
                    )  # MindSpore's files are read-only, which makes them hard to move and delete
                _flush(inside)
            _flush(hidden)
            _replace_folder(hidden, path)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Let an error of the system name the file that was to be written, and not the hidden one, or none."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename, error.filename2 = str(path), None
        raise


def _move(source: Path, target: Path, mode: int) -> None:
    """Give a finished file its permissions, wait until it is on the disk, and give it its name."""
    source.chmod(mode)  # the writer may have made the file anew, and MindSpore's are read-only
    _flush(source)
    source.replace(target)


def _replace_folder(source: Path, target: Path) -> None:
    """Rename ``source`` to ``target``; an older ``target`` is first moved aside and then deleted."""
    if target.exists():
        aside = _moved_aside(target)
        source.rename(target)
        shutil.rmtree(aside)
    else:
        source.rename(target)
    _flush(target.parent)


def delete_folder(path: Path) -> None:
    """Delete a folder. It loses its name before any of its files, so no part of it is ever taken for the whole.

    A process that is killed meanwhile leaves a hidden folder, whose name ends in ``.old``.

    Raises:
        OSError: it cannot be renamed or deleted.
    """
    aside = _moved_aside(path)
    _flush(path.parent)
    shutil.rmtree(aside)


def _moved_aside(path: Path) -> Path:
    """Rename a folder to a hidden one, and return that. An earlier one of that name is deleted."""
    aside = path.with_name(f".{path.name[:60]}.old")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
    return aside


def _flush(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows has no way to do that
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if (
            error.errno != errno.EINVAL or not path.is_dir()
        ):  # some network file systems cannot flush a folder
            raise
    finally:
        os.close(descriptor)


class HeldError(Exception):
    """Another process holds the lock; the message names the process."""


def take_lock(
    file: Path, on_wait: Callable[[str], object] | None = None
) -> contextlib.AbstractContextManager[object]:
    """Take a lock between processes; ``with take_lock(…):`` holds it for a block.

    The system frees it when the process ends, even by a kill. The holder is named in a file beside ``file``, because
    Windows lets nobody read a locked file.

    Args:
        file: the lock file; its folder is made where it is missing. Do not delete it: two processes could then hold a
            lock each.
        on_wait: makes this function wait for another holder. It is called once, before waiting, with the holder's name.

    Raises:
        HeldError: another process holds it, and ``on_wait`` is missing.
        OSError: the lock file cannot be made.
    """
    from filelock import FileLock, Timeout  # takes 20 ms, and most commands need no lock

    file.parent.mkdir(parents=True, exist_ok=True)
    owner = file.with_name(f"{file.name}.owner")
    lock = FileLock(file, thread_local=False)
    try:
        held = lock.acquire(blocking=False)
    except Timeout:
        holder = _content(owner) or "another process"
        if on_wait is None:
            raise HeldError(holder) from None
        on_wait(holder)
        held = lock.acquire()
    with contextlib.suppress(OSError):  # a full disk is no reason to stop here
        owner.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
    return held


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal.

    Raises:
        OSError: the file is missing or cannot be read.
    """
    told = hashlib.sha256()
    with file.open("rb") as stream:
        for block in iter(lambda: stream.read(2**20), b""):
            told.update(block)
    return told.hexdigest()


def import_file(file: Path, prefix: str) -> ModuleType:
    """Import a Python file that belongs to no package, as the module ``<prefix>_<name of the file>``.

    The module is in ``sys.modules``: MindSpore's graph compiler and ``dataclasses`` look there for its source.

    Raises:
        ImportError: the name does not end in ``.py``.
        Exception: whatever the file raises; the module is then forgotten.
    """
    name = f"{prefix}_{file.stem}"
    if file.suffix != ".py":
        raise ImportError(f"{str(file)!r} is not a Python file: its name must end in .py")
    loader = _SourceLoader(name, str(file))
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    assert spec is not None  # a loader was given
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


class _SourceLoader(SourceFileLoader):
    """Runs the source that the user can read, and never the bytecode beside it, which may be of another source."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def python_program(module: str) -> list[str]:
    """Return the command that runs a module as a program with this Python.

    Its modules are looked for in the working folder only if this process does so, too. ``python -m`` always looks there
    first, and the working folder may be a run folder from someone else.
    """
    if "" in sys.path or str(Path.cwd()) in sys.path:
        return [sys.executable, "-m", module]
    code = "import sys; sys.path[:] = filter(None, sys.path); import runpy; "
    return [sys.executable, "-c", f"{code}runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"]


def lack_of_space(folder: Path, n_bytes: int) -> str:
    """Return why ``n_bytes`` do not fit on the disk of ``folder``, or an empty string where they do.

    The folder need not exist yet.
    """
    existing = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(existing).free
    if n_bytes <= free:
        return ""
    return f"{n_bytes:,} bytes are needed and {free:,} bytes are free on the disk of {str(existing)!r}"
