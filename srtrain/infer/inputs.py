"""Find the inputs that a command line means, and name the output of each.

| given | without ``--to`` | with ``--to`` |
| --- | --- | --- |
| a file | beside it: ``a.png`` → ``a_x2.png`` | that file, or the same name in that folder |
| a folder | ``photos/b/a.png`` → ``photos_x2/b/a.png`` | ``TO/b/a.png`` |
| a pattern | as for files | in that folder, with the path from the first wildcard on |
| ``-`` | standard output | that file |
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass, field
from os.path import realpath
from pathlib import Path

from srtrain.data.header import FOREIGN_SUFFIXES
from srtrain.errors import DataError, RecipeError, counted
from srtrain.infer.picture import FORMATS

STANDARD = Path("-")
"""Stands for standard input and output."""

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm")

_OF_MODELS = ("recipe.json", "checkpoints", "state.json", "model.ckpt")  # in run folders and checkpoints


@dataclass(frozen=True)
class Job:
    """One file to upscale; source and target may be ``STANDARD``.

    Attributes:
        format: format of the output picture, a value of ``FORMATS``; ``None`` keeps the format of the input.
    """

    source: Path
    target: Path
    format: str | None = None

    @property
    def is_video(self) -> bool:
        """Whether the source is a video."""
        return _is_video(self.source)


@dataclass
class Plan:
    """The files to upscale.

    Attributes:
        jobs: the files in order.
        notes: one sentence for each group of files that was left out.
    """

    jobs: list[Job] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def make_plan(inputs: Sequence[str], to: str | None, scale: int, suffix: str | None = None) -> Plan:
    """Find the inputs and name their outputs; no file is opened.

    A file that does not exist also becomes a job, so it is reported together with other files that cannot be read.

    Args:
        inputs: files, folders, patterns such as ``photos/**/*.png``, or ``-``.
        to: a file, a folder, ``-``, or ``None`` for a file beside the input.
        scale: the scale in default names.
        suffix: suffix of the outputs, such as ``.png``; ``None`` keeps the suffix of the input.

    Raises:
        DataError: no input was found, two inputs have the same output, or an output is its own input.
        RecipeError: ``inputs`` and ``to`` cannot be combined.
    """
    _check_to(inputs, to, suffix)
    plan = Plan()
    for given in inputs:
        path = Path(given).expanduser()
        if given == "-":
            _add(plan, STANDARD, STANDARD if to is None else Path(to).expanduser(), suffix)
        elif path.is_dir():
            _add_folder(plan, path, to, scale, suffix)
        elif glob.has_magic(given) and not path.exists():
            _add_pattern(plan, path, to, scale, suffix)
        elif to is not None and (to == "-" or _is_file_name(to)):
            _add(plan, path, Path(to).expanduser(), suffix)
        else:
            _add(plan, path, _target(path, Path(path.name), to, scale), suffix)
    _leave_out_earlier_outputs(plan)
    _check_jobs(plan.jobs)
    return plan


def starts_with_input(words: Sequence[str]) -> bool:
    """Return whether the first word is something to upscale, and not a model.

    That is ``-``, a name or a pattern with the suffix of a picture or a video, or a folder with such a file in it that
    is neither a run folder nor a checkpoint.
    """
    path, suffixes = Path(words[0]).expanduser(), (*FORMATS, *VIDEO_SUFFIXES)
    if words[0] == "-" or (path.suffix.lower() in suffixes and not path.is_dir()):
        return True
    if glob.has_magic(words[0]) and not path.exists():
        return True
    if not path.is_dir() or any((path / name).exists() for name in _OF_MODELS):
        return False
    return any(file.suffix.lower() in suffixes for file in path.rglob("*"))


def _check_to(inputs: Sequence[str], to: str | None, suffix: str | None) -> None:
    if to is None:
        return
    given = Path(to).suffix.lower()
    if given in FOREIGN_SUFFIXES and given not in FORMATS:
        known = ", ".join((*FORMATS, *VIDEO_SUFFIXES))
        raise RecipeError(f"--to {to}: {given} files cannot be written. Use one of {known}.")
    one_file = to == "-" or _is_file_name(to)
    many = [
        name for name in inputs if Path(name).is_dir() or (glob.has_magic(name) and not Path(name).exists())
    ]
    if one_file and (many or len(inputs) > 1):
        raise RecipeError(
            f"--to {to} is one file, but {', '.join(many or inputs[:3])} may be many. Give a folder."
        )
    if "-" in inputs and not one_file:
        raise RecipeError(
            f"a picture from standard input has no name: give a file with --to, not the folder {to!r}."
        )
    if suffix is not None and given in FORMATS and one_file and FORMATS[given] != FORMATS[suffix]:
        raise RecipeError(f"--to {to} and --format {suffix[1:]} contradict each other. Leave one out.")


def _add(plan: Plan, source: Path, target: Path, suffix: str | None) -> None:
    """Add a job; ``suffix``, if given, replaces the suffix of a picture's target."""
    if suffix is not None and target != STANDARD and not _is_video(source):
        target = target.with_suffix(suffix)
    plan.jobs.append(Job(source, target, FORMATS.get((suffix or target.suffix).lower())))


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def _is_file_name(to: str) -> bool:
    """Return whether ``to`` names a file and not a folder."""
    path = Path(to).expanduser()
    return path.suffix.lower() in (*FORMATS, *VIDEO_SUFFIXES) and not path.is_dir()


def _add_folder(plan: Plan, folder: Path, to: str | None, scale: int, suffix: str | None) -> None:
    named = folder if folder.name not in ("", "..") else folder.resolve()
    root = Path(to).expanduser() if to is not None else named.with_name(f"{named.name}_x{scale}")
    if root.resolve() == folder.resolve():
        raise RecipeError(
            f"--to {to} is the folder of the inputs, whose files the results would replace. Give another folder."
        )
    below = [path for path in sorted(folder.rglob("*")) if not path.is_dir() and not _is_hidden(path, folder)]
    found = [path for path in below if path.suffix.lower() in FORMATS and root not in path.parents]
    _note_others(plan, str(folder), [path for path in below if path.suffix.lower() not in FORMATS])
    if not found:
        raise DataError(
            f"there is no picture in {str(folder)!r}. Suffixes of pictures: {', '.join(FORMATS)}."
        )
    for path in found:
        _add(plan, path, root / path.relative_to(folder), suffix)


def _add_pattern(plan: Plan, pattern: Path, to: str | None, scale: int, suffix: str | None) -> None:
    parts = pattern.parts
    n_fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    base = Path(*parts[:n_fixed])
    matches = sorted(base.glob(str(Path(*parts[n_fixed:]))))
    files = [path for path in matches if not path.is_dir() and not _is_hidden(path, base)]
    found = [path for path in files if path.suffix.lower() in (*FORMATS, *VIDEO_SUFFIXES)]
    _note_others(plan, str(pattern), [path for path in files if path not in found])
    if not found:
        raise DataError(f"no picture or video matches {str(pattern)!r}.")
    for path in found:
        _add(plan, path, _target(path, path.relative_to(base), to, scale), suffix)


def _target(source: Path, relative: Path, to: str | None, scale: int) -> Path:
    if to is None:
        return source.with_name(f"{source.stem}_x{scale}{source.suffix}")
    return Path(to).expanduser() / relative


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _note_others(plan: Plan, given: str, others: list[Path]) -> None:
    if others:
        videos = any(_is_video(path) for path in others)
        hint = " To upscale videos, name the files or use a pattern." if videos else ""
        plan.notes.append(
            f"{counted(len(others), 'other file')} in {given!r} left out, such as {others[0].name}.{hint}"
        )


def _leave_out_earlier_outputs(plan: Plan) -> None:
    """Leave out inputs that are outputs of an earlier run, which a pattern such as ``*.png`` also matches."""
    targets = {realpath(job.target) for job in plan.jobs if realpath(job.target) != realpath(job.source)}
    earlier = [job for job in plan.jobs if job.source != STANDARD and realpath(job.source) in targets]
    if earlier:
        plan.jobs = [job for job in plan.jobs if job not in earlier]
        plan.notes.append(
            f"{counted(len(earlier), 'output')} of an earlier run left out, such as {earlier[0].source}."
        )


def _check_jobs(jobs: Sequence[Job]) -> None:
    seen: dict[str, Path] = {}
    for job in jobs:
        if job.is_video != _is_video(job.target):
            raise RecipeError(
                f"{str(job.source)!r} cannot become {str(job.target)!r}: one is a video and the other is a picture."
            )
        if job.target == STANDARD:
            continue
        target = realpath(job.target)  # Path.resolve raises an error for a link to itself
        if target == realpath(job.source):
            raise DataError(f"{str(job.source)!r} would be replaced by its own output; choose another --to.")
        if target in seen:
            raise DataError(
                f"{str(seen[target])!r} and {str(job.source)!r} would both become {str(job.target)!r}. Upscale them "
                f"in two calls, into two folders."
            )
        seen[target] = job.source
