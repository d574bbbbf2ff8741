"""The program of each process that ``srtrain launch`` starts: one rank, or the scheduler that connects the ranks.

python -m srtrain.cli.worker run recipes/quickstart.py
"""

from __future__ import annotations

import _thread
import faulthandler
import os
import signal
import sys
import threading

from srtrain.cli.main import main as srtrain
from srtrain.device.interrupt import end_on_ctrl_c
from srtrain.launch.cluster import LAUNCHER_VARIABLE
from srtrain.launch.supervise import DUMP_SIGNAL, EXIT_AT_ONCE, EXIT_LOST


def main() -> int:
    """Run as the scheduler or as a rank, as ``MS_ROLE`` says; return the exit code."""
    os.environ.setdefault("GLOG_v", "3")
    if os.environ.get("MS_ROLE") == "MS_SCHED":
        from mindspore import communication

        communication.init()  # returns when all ranks have ended
        return 0
    faulthandler.enable()
    if DUMP_SIGNAL is not None:
        faulthandler.register(DUMP_SIGNAL, all_threads=True)
    end_on_ctrl_c(EXIT_AT_ONCE)
    # Threads inherit the blocked signals. SIGTERM stays blocked, and _watch waits for it.
    if hasattr(signal, "sigtimedwait"):  # Windows and macOS lack it
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_watch, name="srtrain-launch", daemon=True).start()
    words = sys.argv[1:]
    sys.argv = ["srtrain", "launch", "-n", os.environ["MS_WORKER_NUM"], *words]  # command.txt records this
    return srtrain(words)


def _watch() -> None:
    """Pass SIGTERM to Python's handler; end this rank if its peers are gone, and stop it if its launcher is gone.

    About 30 s after a rank on another machine has gone, MindSpore notices and sends its own process a SIGTERM. That
    is not a request to stop: the ranks can no longer agree on a step to stop after.
    """
    launcher, orphaned = int(os.environ[LAUNCHER_VARIABLE]), False
    while True:
        info = signal.sigtimedwait({signal.SIGTERM}, 1.0)
        if info is not None and info.si_pid == os.getpid():
            print(
                "MindSpore ends this process, because it has lost the connection to another rank",
                file=sys.stderr,
                flush=True,
            )
            os._exit(EXIT_LOST)
        if info is not None:
            _terminate()
        elif not orphaned and os.getppid() != launcher:
            orphaned = True
            print("the launcher has ended: saving and stopping", file=sys.stderr, flush=True)
            _terminate()


def _terminate() -> None:
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        os._exit(128 + signal.SIGTERM)  # the run has not begun, so there is nothing to save
    _thread.interrupt_main(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
