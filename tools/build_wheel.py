"""Build a wheel that contains the compiled kernels, so that it needs no compiler where it is installed.

    pip install setuptools wheel ziglang && python tools/build_wheel.py dist

It holds a library for each instruction set of x86-64 (srtrain/kernels/compile.py). With ziglang they run with every
glibc from 2.17 on, and the wheel says so (manylinux2014); a system's own compiler builds for its own glibc. Other
machines get a wheel without libraries, which are then built at first use.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from srtrain.errors import UserError
from srtrain.files import python_program
from srtrain.kernels.compile import (
    LEVELS,
    CannotBuildError,
    compile_library,
    compiler_words,
    find_compiler,
    ready_name,
)

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("srtrain", "plugins", "recipes", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


def main() -> int:
    """Build it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("dist"), help="where the wheel goes (default: dist)"
    )
    args = parser.parse_args()
    try:
        print(build(args.folder))
    except (UserError, CannotBuildError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def build(folder: Path) -> Path:
    """Build a wheel in a folder; return it.

    Raises:
        CannotBuildError: there is no compiler, or it failed.
        UserError: pip failed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "source"
        copy.mkdir()
        for part in PARTS:
            if (ROOT / part).is_dir():
                shutil.copytree(
                    ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
                )
            else:
                shutil.copy(ROOT / part, copy)
        tag = add_libraries(copy / "srtrain" / "kernels" / "ready")
        words = ["pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(copy)]
        words += [f"--config-settings=--build-option=--plat-name={tag}"] if tag else []
        before = set(folder.glob("*.whl"))
        done = subprocess.run(
            [sys.executable, "-m", *words], capture_output=True, text=True, check=False, cwd=folder.parent
        )
        if done.returncode:
            raise UserError(f"pip wheel failed: {(done.stdout + done.stderr).strip()[-800:]}")
        made = set(folder.glob("*.whl")) - before or set(folder.glob("*.whl"))
        return max(made, key=lambda file: file.stat().st_mtime_ns)


def add_libraries(folder: Path) -> str:
    """Compile the library for each instruction set; return the tag of the platforms that they run on."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return ""
    command, tag = (
        [*python_program("ziglang"), "cc", "-target", "x86_64-linux-gnu.2.17"],
        "manylinux2014_x86_64",
    )
    if not find_spec("ziglang"):
        command, tag = find_compiler()[0], "linux_x86_64"
    for level in LEVELS:
        compile_library([*compiler_words(command, level), "-s"], folder / ready_name(level))
    return tag


if __name__ == "__main__":
    sys.exit(main())
