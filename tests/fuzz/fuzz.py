"""Give srtrain damaged files of every kind and check how each command ends.

    python tests/fuzz/fuzz.py --cases 2000                        # about ten minutes on one idle core
    python tests/fuzz/fuzz.py --cases 300 --only pictures --seed 7
    python tests/fuzz/fuzz.py --only pictures --case 17 --show    # one case again, with what the command printed

Whatever a file holds, a command ends with the exit code 0, 1 or 2. It prints no traceback, runs no code from the file,
takes no more than ``MOST_BYTES`` of memory, leaves no half-written file, and an error names the file. The cases run in
forked processes, because a crash in a library must not end the others; a few run as commands of their own.
"""

import argparse
import contextlib
import dataclasses
import importlib
import json
import os
import pkgutil
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

os.environ.setdefault("GLOG_v", "3")

import psutil
from cases import FAMILIES, MARKER, Case
from sound import write_sound

import srtrain.jobs
from srtrain.cli.main import main as srtrain_main
from srtrain.device.backend import Backend

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 600_000_000
"""Memory that one case may add to the process. A picture of 1.5 GB is refused by the limits that the commands have."""
_ADDRESS_BYTES = 6_000_000_000  # beyond what the process has mapped: protects the machine that runs this
_BATCH = 40
_CPU_SECONDS = 120
_AS_COMMANDS = 40  # one case of so many is a new process


@dataclasses.dataclass
class Result:
    """How a case ended; ``fault`` is empty if it ended as it has to."""

    family: str
    index: int
    what: str
    code: int | str
    fault: str = ""
    printed: str = ""


def prepare(name: str, index: int, seed: int, sound: Path, here: Path) -> Case:
    """Write the files of a case into an empty folder."""
    rng = random.Random(f"{seed} {name} {index}")
    return FAMILIES[name](rng, sound, here)


def run_case(name: str, index: int, seed: int, sound: Path, here: Path) -> Result:
    """Run one case in this process, or now and then in a new one, and judge how it ended."""
    case = prepare(name, index, seed, sound, here)
    os.chdir(here)
    before = _memory("VmRSS")
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    with tempfile.TemporaryFile() as output:
        if index % _AS_COMMANDS == _AS_COMMANDS // 2:
            words = [sys.executable, "-m", "srtrain.cli", *case.words]
            code: int | str = subprocess.run(words, stdout=output, stderr=output, check=False).returncode
        else:
            code = _called(case.words, output.fileno())
        output.seek(0)
        printed = output.read().decode(errors="replace")
    grown = _memory("VmHWM") - before
    return Result(name, index, case.what, code, _fault(case, code, printed, grown, here), printed)


def _called(words: list[str], output: int) -> int | str:
    """Run a command line in this process with its output in a file."""
    sys.stdout.flush()
    kept = os.dup(1), os.dup(2)
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        return srtrain_main(words)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        return "exception"
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, old in zip((1, 2), kept, strict=True):
            os.dup2(old, descriptor)
            os.close(old)


def _memory(key: str) -> int:
    """Return the resident memory of this process, or its peak (VmHWM), in bytes."""
    found = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def _fault(case: Case, code: int | str, printed: str, grown: int, here: Path) -> str:
    if (here / MARKER).exists():
        return "ran foreign code"
    if "Traceback (most recent" in printed:
        return "printed a traceback"
    if code not in (0, 1, 2):
        return f"ended with {code}"
    if grown > MOST_BYTES:
        return f"took {grown / 1e9:.1f} GB"
    if code and not any(name in printed for name in case.names):
        return "did not name the file"
    if code and "error: " not in printed and "FAULT" not in printed and '"fault": true' not in printed:
        return "printed no error"
    litter = [file.name for file in here.rglob(".*.part*")]
    return f"left {litter[0]}" if litter else ""


def run_batch(jobs: list[tuple[str, int]], seed: int, sound: Path, work: Path) -> list[Result]:
    """Run cases in one forked process; a case that ends the process gets a result, and the batch ends there."""
    record = work / "results.jsonl"
    record.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        try:
            _limit_address_space()
            for name, index in jobs:
                here = work / "case"
                shutil.rmtree(here, ignore_errors=True)
                here.mkdir()
                result = run_case(name, index, seed, sound, here)
                with record.open("a") as file:
                    file.write(json.dumps(dataclasses.asdict(result)) + "\n")
        except BaseException:
            traceback.print_exc()
            os._exit(3)
        os._exit(0)
    ended = _wait(child, record)
    lines = record.read_text().splitlines() if record.exists() else []
    results = [Result(**json.loads(line)) for line in lines]
    if len(results) < len(jobs):
        name, index = jobs[len(results)]
        results.append(Result(name, index, "", ended, f"the process ended: {ended}"))
    return results


def _wait(child: int, record: Path) -> str:
    """Wait for a process; end it when one case takes too much time of the processor, or much too long."""
    process = psutil.Process(child)
    n_before, cpu_before, since = -1, 0.0, time.monotonic()
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return (
                f"signal {os.WTERMSIG(status)}"
                if os.WIFSIGNALED(status)
                else f"exit {os.WEXITSTATUS(status)}"
            )
        n = record.stat().st_size if record.exists() else 0
        cpu = sum(process.cpu_times()[:2])
        if n != n_before:
            n_before, cpu_before, since = n, cpu, time.monotonic()
        if cpu - cpu_before > _CPU_SECONDS or time.monotonic() - since > 10 * _CPU_SECONDS:
            process.kill()
            os.waitpid(child, 0)
            return "hang"
        time.sleep(0.05)


def _limit_address_space() -> None:
    mapped = _memory("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (mapped + _ADDRESS_BYTES, resource.RLIM_INFINITY))


def make_sound(folder: Path) -> None:
    """Write the sound files in a forked process: threads that MindSpore starts here would be missing in later forks."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            write_sound(folder, ROOT / "recipes" / "quickstart.py")
            (folder / "complete").touch()
            code = 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the sound files could not be written")


def run_all(jobs: list[tuple[str, int]], seed: int, sound: Path, work: Path, show: bool) -> list[Result]:
    """Run all cases, with a new process after each batch and after each crash."""
    results: list[Result] = []
    while len(results) < len(jobs):
        done = run_batch(jobs[len(results) : len(results) + _BATCH], seed, sound, work)
        for result in done:
            if result.fault:
                shown = "\n    ".join(["", *result.printed.splitlines()[-12:]]) if show else ""
                print(
                    f"FAILED {result.family} {result.index}: {result.what}: {result.fault}{shown}", flush=True
                )
        results += done
        if len(results) % 200 < len(done):
            print(f"{len(results)} of {len(jobs)} cases", flush=True)
    return results


def table(results: list[Result]) -> str:
    """Return a Markdown table of how the cases ended, by family."""
    lines = [
        "| family | cases | exit 0 | exit 1 | exit 2 | failed |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in [*FAMILIES, "all"]:
        own = [result for result in results if name in (result.family, "all")]
        codes = Counter(result.code for result in own)
        failed = sum(bool(result.fault) for result in own)
        if own:
            lines.append(f"| {name} | {len(own)} | {codes[0]} | {codes[1]} | {codes[2]} | {failed} |")
    return "\n".join(lines)


def main() -> int:
    """Run the cases that the command line asks for; the exit code is 1 if one failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=list(FAMILIES), metavar="FAMILY")
    parser.add_argument("--case", type=int, help="run this case of each family alone")
    parser.add_argument("--sound", type=Path, help="keep the sound files here, and use them again")
    parser.add_argument(
        "--show", action="store_true", help="print the end of what the commands printed that failed"
    )
    args = parser.parse_args()
    each = -(-args.cases // len(args.only))
    jobs = [(name, index) for index in range(each) for name in args.only][: args.cases]
    if args.case is not None:
        jobs = [(name, args.case) for name in args.only]
    Backend().start("pynative", 0)
    for module in pkgutil.iter_modules(srtrain.jobs.__path__):  # once here, and not in each forked process
        importlib.import_module(f"srtrain.jobs.{module.name}")
    with tempfile.TemporaryDirectory(prefix="srtrain-fuzz-") as folder:
        work = Path(folder)
        os.environ.setdefault("SRTRAIN_CACHE", str(work / "cache"))  # the kernels are compiled once
        sound = (args.sound or work / "sound").resolve()
        if not (sound / "complete").exists():
            shutil.rmtree(sound, ignore_errors=True)
            make_sound(sound)
        results = run_all(jobs, args.seed, sound, work, args.show)
    if args.case is not None:
        for result in results:
            print(f"{result.family} {result.index}: {result.what}, exit {result.code}\n{result.printed}")
    print(table(results))
    return 1 if any(result.fault for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
