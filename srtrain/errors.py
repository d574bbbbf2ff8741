"""The errors that users can see, and helpers for their messages.

The type decides the exit code: 2 for a ``UserError``, which the user can fix, and 1 for every other ``SrtrainError``,
which is a failure of the run itself.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable


class SrtrainError(Exception):
    """Base of all errors that srtrain raises on purpose; the command line prints the message and exits with 1."""

    exit_code = 1


class UserError(SrtrainError):
    """An error that the user can fix: a wrong name, value, folder or file; the command line exits with 2."""

    exit_code = 2


class RecipeError(UserError):
    """A recipe or an override with an unknown key, a wrong type or an impossible value."""


class DataError(UserError):
    """Pictures that are missing, unreadable, or do not fit together."""


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
    """The loss or the weights are not finite, and the run cannot recover."""


class MachineError(SrtrainError):
    """The machine is at fault: a full or broken disk, or too little memory. Other files would fail in the same way."""


MACHINE_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOMEM, errno.EMFILE})
"""Errors of the system that are no mistake in a command: full disk or quota, broken disk, too little memory."""


def cannot(
    what: str, error: OSError, advice: str = "", kind: type[UserError] = RunFolderError
) -> SrtrainError:
    """Return the error for a failed operation on a file: a full or broken disk exits with 1, all others with 2.

    Args:
        what: the first part of the message, such as ``cannot write 'x.png'``.
        error: gives the reason.
        advice: a sentence at the end.
        kind: class of the error unless the machine is at fault.
    """
    text = f"{what}: {error.strerror or error}. {advice}".rstrip()
    return MachineError(text) if error.errno in MACHINE_FAULTS else kind(text)


MASK = "***"
_LOGIN = re.compile(r"(://)(?:[^/\s]*|[^/\s:@]+:(?!\d+(?:[/?#\s]|$))\S*)@")
_SECRET = re.compile(
    r"([?&;][\w.%-]*(?:token|sig|secret|pass|pwd|key|cred|auth|session)[\w.%-]*=)[^&;#\s'\"]*", re.I
)


def masked(text: str) -> str:
    """Return a text in which the credentials of addresses are replaced by ``***``.

    These are the user and the password before the host, and values of the query whose names say that they are secret,
    such as ``token``, ``X-Amz-Signature`` and ``AccessKeyId``.
    """
    return _SECRET.sub(rf"\1{MASK}", _LOGIN.sub(rf"\1{MASK}@", text)) if "://" in text else text


def without_credentials(text: str) -> str:
    """Return a text whose addresses have no credentials, masked or not."""
    return _SECRET.sub("", _LOGIN.sub(r"\1", text)) if "://" in text else text


def first_line(error: BaseException) -> str:
    """Return the first line of a message, without MindSpore's call stacks, or the error's type if there is none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` with the most similar known name, or an empty string if none is similar."""
    lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(given.lower(), lowered, n=1, cutoff=0.6)
    return f" Did you mean {lowered[near[0]]!r}?" if near else ""


def counted(n: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun: ``1 picture``, ``2 pictures``; ``plural`` is for nouns that need more than an s."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listing(names: Iterable[str], limit: int = 20) -> str:
    """Return the names, sorted and joined for a message; names beyond ``limit`` are only counted."""
    ordered = sorted(names)
    if not ordered:
        return "(none)"
    more = f", … and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return ", ".join(ordered[:limit]) + more
