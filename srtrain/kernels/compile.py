"""Build the library of convolutions for this processor, once, into the cache."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from numpy.core._multiarray_umath import __cpu_features__ as cpu_features

from srtrain.data.cache import default_cache_dir
from srtrain.files import python_program

SOURCE = Path(__file__).parent / "source"

# No -ffast-math: it would set flush-to-zero for the whole process. The two parts of it used here only drop errno and
# traps. The library stays loaded for good (nodelete): its threads would otherwise wake up in unmapped code.
_FLAGS = (
    *("-O3", "-std=gnu11", "-fPIC", "-shared", "-pthread", "-ffp-contract=fast"),
    *("-fno-math-errno", "-fno-trapping-math", "-Wl,-z,nodelete"),
)

_LEVELS = {
    "AVX-512": ("-march=x86-64-v4", ("AVX512F", "AVX512CD", "AVX512BW", "AVX512DQ", "AVX512VL")),
    "AVX2": ("-march=x86-64-v3", ("AVX2", "FMA3", "F16C")),
}


class CannotBuildError(Exception):
    """Why there is no library on this machine, and what to do about it."""


def instruction_set() -> str:
    """Return what the library is built for on this processor: ``AVX-512``, ``AVX2`` or ``portable``."""
    for name, (_, needed) in _LEVELS.items():
        if all(cpu_features.get(feature) for feature in needed):
            return name
    return "portable"


def library_file() -> Path:
    """Return the built library, after building it if need be.

    Raises:
        CannotBuildError: no compiler, or it failed.
    """
    command, version = find_compiler()
    words = [*command, *flags()]
    if len(command) > 1:  # ziglang spells processors in its own way
        words = [word.replace("-march=x86-64-", "-march=x86_64_") for word in words]
    target = default_cache_dir() / "kernels" / f"{_key(words, version)}.so"
    if not target.is_file():
        _compile(words, target)
    return target


def flags() -> list[str]:
    """Return the compiler's flags for this processor."""
    level = _LEVELS.get(instruction_set())
    return [*_FLAGS, *([level[0]] if level else [])]


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
    told = hashlib.sha256(repr((words, version, platform.machine(), platform.processor())).encode())
    for file in sorted(SOURCE.iterdir()):
        told.update(file.name.encode() + file.read_bytes())
    return told.hexdigest()[:24]


def _compile(words: list[str], target: Path) -> None:
    """Compile into a temporary file and rename it: two processes that build at once both end with a whole library."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=target.parent, suffix=".so")
    except OSError as error:
        raise CannotBuildError(f"the cache {str(target.parent)!r} cannot be written: {error}") from error
    os.close(handle)
    try:
        sources = sorted(map(str, SOURCE.glob("*.c")))
        done = subprocess.run([*words, *sources, "-o", part], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotBuildError(f"{' '.join(words)} failed: {done.stderr.strip()[-500:]}")
        Path(part).replace(target)
    finally:
        Path(part).unlink(missing_ok=True)
