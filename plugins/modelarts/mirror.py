"""A run folder and its copy in a store.

The order of uploads keeps the copy complete at any moment: the tensors of a checkpoint come first, then its
``state.json``, then the pointers ``latest`` and ``best``. Old checkpoints are deleted last. Every ``state.json`` in the
store therefore belongs to a complete checkpoint, and a run can be resumed from the copy alone. A pointer is deleted
before the checkpoint that it names, so a reader never finds a pointer to missing files.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from srtrain.errors import RunFolderError, listing
from srtrain.files import whole_folder
from srtrain.files.json_file import Whole, read_json
from srtrain.hooks.writers.event_file import PREFIX
from srtrain.trainer.checkpoint import CheckpointStore
from srtrain.trainer.owned import MANIFEST, RECORD, is_owned, is_recorded, patterns_of

from .store import Store, StoreError, StoreRefusalError
from .transfer import Say, fetch, persist

CHECKPOINTS = "checkpoints"
POINTERS = ("latest", "best", "best.json")
AGAIN_AFTER_SECONDS = 300.0
_STEP = re.compile(rf"{CHECKPOINTS}/(step_\d{{8,}})/[^/]+")


class RunMirror:
    """Copies the changed files of a run folder to a store, and restores a run folder from it."""

    def __init__(self, folder: Path, store: Store, say: Say) -> None:
        self.folder = folder
        self.store = store
        self.say = say
        self.pause: Callable[[float], object] = time.sleep
        self._sent: dict[
            str, tuple[int, int]
        ] = {}  # size and modification time of each file when it was uploaded
        self._pointed: dict[str, str] = {}
        self._there: set[str] = set()

    def look(self) -> dict[str, int]:
        """List the store; return the size of each file in bytes."""
        files = persist(self.store.files, self.say, self.pause)
        self._there = set(files)
        return files

    def check_clear(self) -> list[str]:
        """Check that the store holds only what a run wrote; return the names of those files.

        Raises:
            RunFolderError: it also holds something else, or no run at all.
        """
        there = sorted(self.look())
        with tempfile.TemporaryDirectory() as name:
            for record in {RECORD, MANIFEST} & set(there):
                persist(partial(self.store.download, record, Path(name) / record), self.say, self.pause)
            _refuse_others(self.store.url, there, Path(name))
        return there

    def clear(self) -> None:
        """Delete the copy in the store.

        Raises:
            RunFolderError: see ``check_clear``; nothing is deleted.
        """
        self._delete_all(self.check_clear())
        self._pointed.clear()

    def upload(self) -> None:
        """Upload the files that have changed since the last upload.

        Raises:
            StoreError, StoreRefusalError: a file could not be uploaded; the files on the disk are unchanged.
        """
        for name in self._steps_on_disk():
            self._upload_checkpoint(name)
        self._upload_pointers()
        self.upload_records()
        self._delete_pruned()

    def upload_records(self) -> None:
        """Upload everything except checkpoints: recipe, logs, metrics, events, pictures."""
        for name in sorted(self._records(), key=lambda name: (name != RECORD, name)):
            self._send(name)  # first the proof that this is a run

    def pending(self) -> list[str]:
        """Return the files of the run folder whose present content is not in the store."""
        steps = [f"{CHECKPOINTS}/{step}/{n}" for step in self._steps_on_disk() for n in self._files_of(step)]
        pointers = [
            f"{CHECKPOINTS}/{name}"
            for name in ("latest", "best")
            if self._pointer(name) != self._pointed.get(name)
        ]
        best = [f"{CHECKPOINTS}/best.json"] if (self.folder / CHECKPOINTS / "best.json").exists() else []
        return [name for name in [*steps, *best, *self._records()] if not self._is_sent(name)] + pointers

    def _upload_checkpoint(self, step: str) -> None:
        names = [f"{CHECKPOINTS}/{step}/{name}" for name in self._files_of(step)]
        state = f"{CHECKPOINTS}/{step}/state.json"
        same_tensors = all(self._is_sent(name) for name in names if name != state)
        if state in self._there and not same_tensors:
            self._unpoint(lambda named: named in (None, step))
            self._delete(state)  # from an earlier run; the checkpoint is incomplete while it is replaced
        for name in names:
            if not self._send(name):
                return  # it was pruned in the meantime; a newer one follows

    def _upload_pointers(self) -> None:
        """Upload ``latest`` and ``best`` if the checkpoint that they name is in the store.

        Those that the run folder no longer has are deleted.
        """
        for name in ("latest", "best"):
            step = self._pointer(name)
            if step is None:
                self._unpoint(lambda _: True, name)
                continue
            if f"{CHECKPOINTS}/{step}/state.json" not in self._sent:
                continue
            if name == "best":
                self._send(f"{CHECKPOINTS}/best.json")
            if self._pointed.get(name) != step:
                self._write(f"{CHECKPOINTS}/{name}", f"{step}\n")
                self._pointed[name] = step

    def _delete_pruned(self) -> None:
        """Delete files that the run folder no longer has; checkpoints only after ``latest`` was uploaded.

        A resumed run drops event files that came after its checkpoint, which an earlier process may have sent.
        """
        events = {name for name in self._there if name.startswith(PREFIX)}
        records = [name for name in {*self._sent, *events} if not _STEP.fullmatch(name)]
        self._delete_all([name for name in records if not (self.folder / name).exists()])
        if "latest" in self._pointed:
            kept = {*self._steps_on_disk(), *self._pointed.values()}
            self._unpoint(lambda named: named is None)
            self._delete_all([n for n in self._there if (m := _STEP.fullmatch(n)) and m.group(1) not in kept])

    def _unpoint(self, is_wrong: Callable[[str | None], bool], *names: str) -> None:
        """Delete pointers in the store. A reader then takes the newest complete checkpoint.

        Args:
            is_wrong: gets the checkpoint that a pointer names, or ``None`` if another process wrote the pointer.
            names: of the pointers in question; none means both.
        """
        for name in names or ("latest", "best"):
            if f"{CHECKPOINTS}/{name}" in self._there and is_wrong(self._pointed.get(name)):
                self._pointed.pop(name, None)
                self._delete(f"{CHECKPOINTS}/{name}")
                if name == "best" and f"{CHECKPOINTS}/best.json" in self._there:
                    self._delete(f"{CHECKPOINTS}/best.json")

    def restore(self) -> str:
        """Fetch the run if its copy has a newer checkpoint than this disk; return that checkpoint, or "".

        Raises:
            StoreError, StoreRefusalError, DataError: it could not be fetched; an older run on the disk stays intact.
        """
        remote = self.look()
        steps = sorted(
            {m.group(1) for n in remote if (m := _STEP.fullmatch(n)) and n.endswith("/state.json")}
        )
        local = CheckpointStore(self.folder / CHECKPOINTS).steps()
        if not steps or (local and local[-1] >= _number(max(steps, key=_number))):
            return ""
        for step in sorted(steps, key=_number):
            self._restore_checkpoint(step, remote)
        pointers = {f"{CHECKPOINTS}/{name}" for name in POINTERS}
        for is_pointer in (False, True):  # pointers last, after the checkpoints that they name
            sizes = {
                name: size
                for name, size in remote.items()
                if not _STEP.fullmatch(name) and (name in pointers) is is_pointer
            }
            fetch(self.store, sizes, self.folder.joinpath, self.say, always=True)
        for name in remote:
            if (self.folder / name).is_file():
                self._sent[name] = _fingerprint(self.folder / name)
        self._pointed = {n: step for n in ("latest", "best") if (step := self._pointer(n)) is not None}
        return max(steps, key=_number)

    def _restore_checkpoint(self, step: str, remote: dict[str, int]) -> None:
        """Fetch one checkpoint."""
        sizes = {n: size for n, size in remote.items() if n.startswith(f"{CHECKPOINTS}/{step}/")}
        with whole_folder(self.folder / CHECKPOINTS / step) as part:
            fetch(self.store, sizes, lambda name: part / Path(name).name, self.say)

    def _send(self, name: str) -> bool:
        """Upload a file unless the store has it; return whether the local file still exists."""
        file = self.folder / name
        if self._is_sent(name):
            return True
        try:
            before = _fingerprint(file)
        except FileNotFoundError:
            return False

        def upload() -> None:
            if file.exists():
                self.store.upload(file, name)
                self._there.add(name)

        persist(upload, self.say, self.pause)
        if file.exists():
            self._sent[name] = before
        return file.exists()

    def _write(self, name: str, text: str) -> None:
        persist(lambda: self.store.write(name, text), self.say, self.pause)
        self._there.add(name)

    def _delete_all(self, names: Iterable[str]) -> None:
        """Delete files, pointers first, then each ``state.json``, so that no incomplete checkpoint looks complete."""
        pointers = {f"{CHECKPOINTS}/{name}" for name in POINTERS}

        def place(name: str) -> tuple[bool, bool, bool, str]:
            return name in (RECORD, MANIFEST), name not in pointers, not name.endswith("/state.json"), name

        for name in sorted(names, key=place):
            self._delete(name)

    def _delete(self, name: str) -> None:
        persist(lambda: self.store.delete(name), self.say, self.pause)
        self._there.discard(name)
        self._sent.pop(name, None)

    def _is_sent(self, name: str) -> bool:
        file = self.folder / name
        return file.exists() and self._sent.get(name) == _fingerprint(file)

    def _steps_on_disk(self) -> list[str]:
        """Return the complete checkpoints, oldest first, without one that is being pruned."""
        steps = [f"step_{step:08d}" for step in CheckpointStore(self.folder / CHECKPOINTS).steps()]
        return [step for step in steps if self._files_of(step)]

    def _files_of(self, step: str) -> list[str]:
        """Return the file names of a checkpoint, ``state.json`` last; none if the checkpoint is incomplete.

        Raises:
            CheckpointError: its ``state.json`` is damaged. The copy in the store may be the only good one, so nothing
                is deleted.
        """
        folder = self.folder / CHECKPOINTS / step
        try:
            (folder / "state.json").stat()
            groups = read_json(folder / "state.json", {"groups": {str: Whole()}})["groups"]
            names = {file.name for file in folder.iterdir() if not file.name.startswith(".")}
        except FileNotFoundError:
            return []
        if not names.issuperset(f"{group}.ckpt" for group, n_tensors in groups.items() if n_tensors):
            return []
        return [*sorted(names - {"state.json"}), "state.json"]

    def _records(self) -> list[str]:
        found = []
        for root, folders, files in os.walk(self.folder):  # skips folders that disappear in the meantime
            inside = Path(root).relative_to(self.folder)
            folders[:] = [n for n in folders if not n.startswith(".") and (inside / n) != Path(CHECKPOINTS)]
            found += [(inside / name).as_posix() for name in files if not name.startswith(".")]
        return sorted(found)

    def _pointer(self, name: str) -> str | None:
        """Return the checkpoint that a pointer names; ``latest`` falls back to the newest, as it may be missing."""
        try:
            return (self.folder / CHECKPOINTS / name).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            steps = self._steps_on_disk()
            return steps[-1] if steps and name == "latest" else None


def _refuse_others(url: str, there: list[str], records: Path) -> None:
    """Refuse files in a store that no run wrote; ``records`` is a folder with the run's recipe and manifest."""
    if there and not is_recorded(records):
        raise RunFolderError(
            f"--overwrite deletes nothing in {url}: it contains {listing(there, 5)} and no {RECORD} of a run. Use "
            f"another address or name=ANOTHER."
        )
    patterns = patterns_of(records)
    if others := [name for name in there if not is_owned(name, patterns)]:
        raise RunFolderError(
            f"--overwrite will not delete the run in {url}: there is also what no run wrote ({listing(others, 5)}). "
            f"Move it away, or use name=ANOTHER."
        )


class Uploader:
    """Uploads a run folder in a thread, whenever ``wake`` announces new files."""

    def __init__(self, mirror: RunMirror) -> None:
        self.mirror = mirror
        self._work = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)
        self._crash: BaseException | None = None
        mirror.pause = self._closing.wait  # the end of the run interrupts a pause between attempts

    def start(self) -> None:
        """Start the thread and upload all present files."""
        self._work.set()
        self._thread.start()

    def wake(self) -> None:
        """Announce new files, without waiting for the upload."""
        self._work.set()

    def finish(self) -> None:
        """End the thread and upload the remaining files in the calling thread.

        Raises:
            StoreError, StoreRefusalError: a file could not be uploaded.
        """
        self._closing.set()
        self._work.set()
        self._thread.join()
        if self._crash is not None:
            raise self._crash
        self.mirror.pause = time.sleep
        self.mirror.upload()

    def _run(self) -> None:
        failed = False
        while not self._closing.is_set():
            self._work.wait(AGAIN_AFTER_SECONDS if failed else None)
            self._work.clear()
            if self._closing.is_set():
                return
            try:
                self.mirror.upload()
                failed = False
            except (StoreError, StoreRefusalError) as error:
                failed = True
                self.mirror.say(
                    f"warning: {error}. The files stay in {self.mirror.folder}; the upload is repeated with the next "
                    f"checkpoint, at the latest after {AGAIN_AFTER_SECONDS:.0f} s, and at the end."
                )
            except BaseException as error:
                self._crash = error  # finish() raises it in the main thread
                return


def _fingerprint(file: Path) -> tuple[int, int]:
    about = file.stat()
    return about.st_size, about.st_mtime_ns


def _number(step: str) -> int:
    return int(step.removeprefix("step_"))
