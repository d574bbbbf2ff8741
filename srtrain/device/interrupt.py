"""Ctrl-C while MindSpore runs a graph.

While a graph runs, MindSpore's own handler turns SIGINT into SIGTERM, so an interrupted run would look like a cancelled
one. ``InterruptWatch`` therefore blocks SIGINT before MindSpore starts its threads, which inherit the mask. A separate
thread waits for SIGINT and passes it to Python's handler.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
from types import TracebackType


class InterruptWatch:
    """Within this context, the first Ctrl-C reaches Python's handler and the second ends the process.

    It does nothing on Windows and macOS, which cannot wait for a blocked signal with a time limit.
    """

    def __enter__(self) -> InterruptWatch:
        self._over = threading.Event()
        if _can_wait():
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
        if _can_wait():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _can_wait() -> bool:
    return hasattr(signal, "sigtimedwait")
