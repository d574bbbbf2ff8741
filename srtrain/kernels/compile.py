"""Find the library of convolutions for this processor: in a wheel, or built once from source into the cache."""

from __future__ import annotations

import contextlib
import hashlib
import platform
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from numpy.core._multiarray_umath import __cpu_features__ as cpu_features

from srtrain.data.cache import default_cache_dir
from srtrain.files import python_program, take_lock, whole_file

SOURCE = Path(__file__).parent / "source"

READY = Path(__file__).parent / "ready"
"""The libraries that tools/build_wheel.py puts into a wheel; a checkout has none."""

# No -ffast-math: it would set flush-to-zero for the whole process. The two parts of it used here only drop errno and
# traps. The library stays loaded for good (nodelete): its threads would otherwise wake up in unmapped code.
_FLAGS = (
    *("-O3", "-std=gnu11", "-fPIC", "-shared", "-pthread", "-ffp-contract=fast"),
    *("-fno-math-errno", "-fno-trapping-math", "-Wl,-z,nodelete"),
)

LEVELS = {
    "AVX-512": ("-march=x86-64-v4", ("AVX512F", "AVX512CD", "AVX512BW", "AVX512DQ", "AVX512VL")),
    "AVX2": ("-march=x86-64-v3", ("AVX2", "FMA3", "F16C")),
    "portable": ("", ()),
}
"""What a library can be built for, the best first: the compiler's flag, and what the processor must have."""


class CannotBuildError(Exception):
    """Why there is no library on this machine, and what to do about it."""


def instruction_set() -> str:
    """Return what the library is built for on this processor: ``AVX-512``, ``AVX2`` or ``portable``."""
    return next(
        name for name, (_, needed) in LEVELS.items() if all(cpu_features.get(feature) for feature in needed)
    )


def library_file(use_ready: bool = True) -> Path:
    """Return the built library, after building it if need be.

    Args:
        use_ready: whether it may be the one of the wheel.

    Raises:
        CannotBuildError: no compiler, or it failed.
    """
    ready = READY / ready_name(instruction_set())
    if use_ready and ready.is_file():
        return ready
    command, version = find_compiler()
    words = compiler_words(command, instruction_set())
    target = default_cache_dir() / "kernels" / f"{_key(words, version)}.so"
    if not target.is_file():
        with _alone(target.parent):
            if not target.is_file():
                compile_library(words, target)
    return target


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process builds into ``folder``, and delete what a killed one has left there."""
    try:
        lock = take_lock(folder.with_name(f"{folder.name}.lock"), lambda holder: None)
    except OSError as error:
        raise CannotBuildError(f"the cache {str(folder)!r} cannot be written: {error}") from error
    with lock:
        for left in (*folder.glob(".*.part.so"), *folder.glob("tmp*.so")):
            left.unlink(missing_ok=True)
        yield


def ready_name(level: str) -> str:
    """Return the name of a library in a wheel, which changes with the sources."""
    return f"{level}_{platform.machine()}_{_key([], '')}.so".lower()


def compiler_words(command: list[str], level: str) -> list[str]:
    """Return the words that compile for a level of ``LEVELS``."""
    flag = LEVELS[level][0]
    if len(command) > 1:  # ziglang spells processors in its own way
        flag = flag.replace("-march=x86-64-", "-march=x86_64_")
    return [*command, *_FLAGS, *([flag] if flag else [])]


def find_compiler() -> tuple[list[str], str]:
    """Return the words that start a C compiler, and its version.

    Raises:
        CannotBuildError: there is none.
    """
    candidates = [[name] for name in ("cc", "gcc", "clang") if shutil.which(name)]
    if find_spec("ziglang"):
        candidates.append([*python_program("ziglang"), "cc"])
    for command in candidates:
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return command, done.stdout.partition("\n")[0]
    raise CannotBuildError(
        "there is no C compiler; install one (apt install gcc) or the package ziglang (pip install ziglang)"
    )


def _key(words: list[str], version: str) -> str:
    """Return a name that changes with the sources, the flags, the compiler and the processor."""
    told = hashlib.sha256(repr((words, version, platform.machine())).encode())
    for file in sorted(SOURCE.iterdir()):
        told.update(file.name.encode() + file.read_bytes())
    return told.hexdigest()[:24]


def compile_library(words: list[str], target: Path) -> None:
    """Compile to a file, which gets its name when it is complete.

    Raises:
        CannotBuildError: the compiler failed, or the file cannot be written.
    """
    sources = sorted(map(str, SOURCE.glob("*.c")))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as part:
            command = [*words, *sources, "-o", str(part)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise CannotBuildError(f"{' '.join(words)} failed: {done.stderr.strip()[-500:]}")
    except OSError as error:
        raise CannotBuildError(f"{str(target)!r} cannot be written: {error}") from error
