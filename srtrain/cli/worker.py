"""What each started process runs: one rank of a run, or the scheduler that joins the ranks.

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
from srtrain.launch.cluster import LAUNCHER_VARIABLE
from srtrain.launch.supervise import DUMP_SIGNAL, EXIT_LOST


def main() -> int:
    """Be the scheduler or a rank, as msrun's environment says; return the exit code."""
    os.environ.setdefault("GLOG_v", "3")
    if os.environ.get("MS_ROLE") == "MS_SCHED":
        from mindspore import communication

        communication.init()  # returns when all ranks have left
        return 0
    faulthandler.enable()
    if DUMP_SIGNAL is not None:
        faulthandler.register(DUMP_SIGNAL, all_threads=True)
    # Threads inherit what is blocked. SIGTERM stays so, for the thread to wait for; SIGINT is the main thread's.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    threading.Thread(target=_watch, name="srtrain-launch", daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    words = sys.argv[1:]
    sys.argv = ["srtrain", "launch", "-n", os.environ["MS_WORKER_NUM"], *words]  # what command.txt records

    return srtrain(words)


def _watch() -> None:
    """Hand SIGTERM to Python's handler; end a rank whose peers are gone, and stop one whose launcher is.

    MindSpore notices after half a minute that another machine's rank is gone and sends this process a
    SIGTERM of its own, which must not be taken for a request to stop: nobody is there to agree with.
    """
    launcher, orphaned = int(os.environ[LAUNCHER_VARIABLE]), False
    while True:
        info = signal.sigtimedwait({signal.SIGTERM}, 1.0)
        if info is not None and info.si_pid == os.getpid():
            print(
                "MindSpore ends this process: it has lost the connection to another rank",
                file=sys.stderr,
                flush=True,
            )
            os._exit(EXIT_LOST)
        if info is not None:
            _terminate()
        elif not orphaned and os.getppid() != launcher:
            orphaned = True
            print("the launcher is gone: saving and stopping", file=sys.stderr, flush=True)
            _terminate()


def _terminate() -> None:
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # nothing has begun that could be saved
        os._exit(128 + signal.SIGTERM)
    _thread.interrupt_main(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
