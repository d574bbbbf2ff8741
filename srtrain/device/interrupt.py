"""Keeps Ctrl-C a Ctrl-C.

While a graph runs, MindSpore answers SIGINT with a handler of its own that sends the process a SIGTERM, so
that an interrupted run could not be told from a cancelled one. Here SIGINT is blocked before MindSpore
starts its threads, which inherit that, and a thread that waits for it hands it to Python's handler.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
from types import TracebackType


class InterruptWatch:
    """A context in which the first Ctrl-C reaches Python's handler and the second ends the process."""

    def __enter__(self) -> InterruptWatch:
        self._over = threading.Event()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        threading.Thread(target=self._watch, name="srtrain-interrupt", daemon=True).start()
        return self

    def _watch(self) -> None:
        seen = 0
        while not self._over.is_set():
            if signal.sigtimedwait({signal.SIGINT}, 0.2) is not None:
                seen += 1
                if seen > 1:
                    os._exit(128 + signal.SIGINT)
                _thread.interrupt_main(signal.SIGINT)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
