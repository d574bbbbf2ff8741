"""End the process at a chosen moment, as a kill does. This file is also a plugin of the recipes that are tortured.

Python announces each change of a file to an audit hook before the change is made. The hook counts these moments by kind
and starts a timer at the one that was chosen. The timer sends SIGALRM, whose default action ends the process in the
kernel: no handler, no ``finally`` and no ``atexit`` runs, as with SIGKILL.
"""

import contextlib
import json
import os
import signal
import sys

from srtrain.hooks import HOOKS, Hook

AIM = "TORTURE_AIM"
"""Environment variable for launched ranks: JSON with ``root``, ``rank`` and the other arguments of ``arm``."""
AT_ANY_TIME = "any time"

_CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"}
_PLACES = {
    "/cache/": "cache",
    "/search/": "search",
    "/checkpoints": "checkpoint",
    "/pictures": "pictures",
    "metrics.jsonl": "metrics",
    "tfevents": "events",
}


def arm(root: str, kind: str, nth: int, delay: float, record: str = "") -> None:
    """Choose the moment at which this process ends.

    Args:
        root: only changes of files below this folder count.
        kind: of the moment: one of ``_PLACES``, ``records`` (other files), ``evaluation``, or ``any time``.
        nth: which moment of this kind, from 1; 0 ends nothing.
        delay: seconds from the moment to the end; for ``any time``, from now.
        record: file to which the kind of each moment is appended, a line each.
    """
    counts: dict[str, int] = {}
    handle = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if record else None

    def listen(event: str, args: tuple[object, ...]) -> None:
        found = _kind_of(event, args, root)
        if not found:
            return
        counts[found] = counts.get(found, 0) + 1
        if handle is not None:
            os.write(handle, f"{found}\n".encode())
        if found == kind and counts[found] == nth:
            _end_after(delay)

    if kind == AT_ANY_TIME:
        _end_after(delay)
    else:
        sys.addaudithook(listen)


def _end_after(delay: float) -> None:
    if delay > 0:
        signal.setitimer(signal.ITIMER_REAL, delay)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def _kind_of(event: str, args: tuple[object, ...], root: str) -> str:
    """Return the kind of a moment, or an empty string for an event that does not count."""
    if event == "torture":
        return str(args[0])
    if event not in _CHANGES:
        return ""
    if event == "open" and not (isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)):
        return ""
    path = args[1] if event == "os.rename" else args[0]
    name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
    if not name.startswith(root):
        return ""
    return next((kind for part, kind in _PLACES.items() if part in name), "records")


@HOOKS.register("moments", replace=True)  # torture.py imports this file too
class MomentsHook(Hook):
    """Announces the begin and the end of each evaluation as moments."""

    def before_eval(self, trainer, benchmark) -> None:
        """Announce the begin."""
        sys.audit("torture", "evaluation")

    def after_eval(self, trainer, result) -> None:
        """Announce the end."""
        sys.audit("torture", "evaluation")


if AIM in os.environ:
    aim = json.loads(os.environ[AIM])
    if os.environ.get("RANK_ID") == str(aim.pop("rank")):
        with contextlib.suppress(ValueError):
            arm(**aim)
