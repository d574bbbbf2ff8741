"""The errors a user can meet, and the one helper that guesses what was meant.

Exit codes follow from the type: a ``UserError`` is something the user can mend (exit code 2), every
other ``SrtrainError`` is a failure of the run itself (exit code 1).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SrtrainError(Exception):
    """Base of every error raised on purpose by this project; the command line exits with 1."""

    exit_code = 1


class UserError(SrtrainError):
    """The user can mend it: a wrong name, value, folder or file; the command line exits with 2."""

    exit_code = 2


class RecipeError(UserError):
    """A recipe or an override that says something impossible."""


class DataError(UserError):
    """Pictures that are missing, unreadable or do not fit together."""


class CheckpointError(UserError):
    """A checkpoint that is missing, broken or does not fit."""


class RunFolderError(UserError):
    """A run folder that is in use, not empty or cannot be written."""


class DeviceError(UserError):
    """A device or a precision that this machine does not have."""


class UnknownNameError(UserError, LookupError):
    """A name that no registry, recipe or plugin knows."""


class HookError(SrtrainError):
    """A hook that breaks the contract of hooks: wrong point, wrong parameters, shared state key."""

    exit_code = 2


class ExportError(SrtrainError):
    """A network that cannot be exported, or an exported file that does not compute what the checkpoint does."""


class UnsupportedError(ExportError):
    """A network with an operator that an export format or an engine does not support."""


class TrainingDivergedError(SrtrainError):
    """The loss is no longer a finite number."""


def first_line(error: BaseException) -> str:
    """Return what an error says before MindSpore's call stacks, or what kind it is when it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known name, or an empty string."""
    lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(given.lower(), lowered, n=1, cutoff=0.6)
    return f" Did you mean {lowered[near[0]]!r}?" if near else ""


def counted(n: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun: ``1 picture``, ``2 pictures``; ``plural`` is for nouns that need more than an s."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listing(names: Iterable[str], limit: int = 20) -> str:
    """Return the names sorted and joined for an error message, the tail counted past ``limit``."""
    ordered = sorted(names)
    if not ordered:
        return "(none)"
    more = f", … and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return ", ".join(ordered[:limit]) + more
