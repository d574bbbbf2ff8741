"""Ctrl-C at any time, also while MindSpore is imported or runs a graph.

An exception that Python raises while MindSpore is being imported aborts the process, and while a graph runs,
MindSpore's own handler turns SIGINT into SIGTERM, so an interrupted run would look like a cancelled one.
``InterruptWatch`` therefore blocks SIGINT before MindSpore starts its threads, which inherit the mask. A separate
thread waits for SIGINT and passes it to the handler that Python knows. A program calls ``end_on_ctrl_c`` first: the
handler is then ``EndAtOnce``, until a run that can save its state installs another one.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import NoReturn

from srtrain.files import delete_unfinished

EXIT_INTERRUPTED = 128 + signal.SIGINT


class EndAtOnce:
    """A handler that ends this process and its children, and deletes files that were not completely written."""

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """End the process; Python calls this where no thread waits for the signal."""
        end_at_once(self.exit_code)


def end_on_ctrl_c(exit_code: int = EXIT_INTERRUPTED) -> None:
    """Let Ctrl-C end this program at once from now on, except while another handler is installed."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # a shell's background process ignores it
        signal.signal(signal.SIGINT, EndAtOnce(exit_code))
    InterruptWatch(exit_code).__enter__()  # until the end of the process


def end_at_once(exit_code: int) -> NoReturn:
    """End this process without any clean-up but these: children are killed, unfinished files are deleted."""
    sys.setswitchinterval(1e-5)  # seconds: this thread waits for the others as briefly as possible
    with contextlib.suppress(Exception):  # nothing may stop the end
        import psutil  # takes 20 ms

        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    with contextlib.suppress(Exception):
        delete_unfinished()
    os._exit(exit_code)


class InterruptWatch:
    """Within this context, the first Ctrl-C reaches Python's handler and the second ends the process.

    It does nothing inside another one, and on Windows and macOS, which cannot wait for a blocked signal with a time
    limit. There, the handler runs as soon as Python runs.
    """

    _active = False

    def __init__(self, exit_code: int = EXIT_INTERRUPTED) -> None:
        self._exit_code = exit_code
        self._over = threading.Event()
        self._outer = False

    def __enter__(self) -> InterruptWatch:
        self._outer = hasattr(signal, "sigtimedwait") and not InterruptWatch._active
        if self._outer:
            InterruptWatch._active = True
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            threading.Thread(target=self._watch, name="srtrain-interrupt", daemon=True).start()
        return self

    def _watch(self) -> None:
        seen = 0
        while not self._over.is_set():
            if signal.sigtimedwait({signal.SIGINT}, 0.2) is None:
                continue
            handler = signal.getsignal(signal.SIGINT)
            if handler is signal.SIG_IGN:
                continue
            seen += 1
            if seen > 1 or isinstance(handler, EndAtOnce):  # here: the main thread may be busy for long
                end_at_once(self._exit_code)
            _thread.interrupt_main(signal.SIGINT)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._outer:
            InterruptWatch._active = False
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
