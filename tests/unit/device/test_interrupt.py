"""The first Ctrl-C reaches Python's handler in spite of MindSpore's; the second ends the process."""

import signal
import subprocess
import sys
import textwrap

import pytest

RUN = """
import os, signal, sys, time
from srtrain.device.interrupt import InterruptWatch

seen = []
with InterruptWatch():
    signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    for n in range(int(sys.argv[1])):
        os.kill(os.getpid(), signal.SIGINT)
        deadline = time.monotonic() + 20
        while len(seen) <= n and time.monotonic() < deadline:
            time.sleep(0.01)
print("seen", len(seen), flush=True)
signal.signal(signal.SIGINT, signal.SIG_DFL)
if sys.argv[2] == "after":
    os.kill(os.getpid(), signal.SIGINT)
print("alive")
"""


@pytest.mark.parametrize(
    ("times", "then", "code", "output"),
    [
        (0, "-", 0, "seen 0\nalive\n"),
        (1, "-", 0, "seen 1\nalive\n"),
        (2, "-", 130, ""),
        (0, "after", -signal.SIGINT, "seen 0\n"),
    ],
    ids=["none", "one is handled", "a second ends the process", "afterwards all is as before"],
)
def test_ctrl_c(times, then, code, output):
    command = [sys.executable, "-c", textwrap.dedent(RUN), str(times), then]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stdout) == (code, output)
