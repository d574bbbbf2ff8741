"""The program ``srtrain``; ``python -m srtrain`` is the same."""

import os
import signal
import sys
from types import FrameType


def main() -> int:
    """Run the command line of this process; return the exit code, which is 130 after a Ctrl-C at any time."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _end)  # while the modules of the command line are imported
    from srtrain.cli.main import main as run

    return run()


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
