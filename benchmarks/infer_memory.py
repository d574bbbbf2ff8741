"""Measure the memory and the start-up time of ``srtrain infer``.

    pip install '.[cpu,ncnn]' && python benchmarks/infer_memory.py --weights ../shared/data/weights/EDSR_f64b5_x2/*.npz

For each engine, the command upscales an enlarged photograph in several sizes. Each runs in a separate process whose
memory is observed from outside. The reference is the smallest picture in one piece (``--memory 64GB``). The results
are:

    peak_4k_gb              peak memory of the process for the largest picture
    largest_over_smallest   that peak over the peak for the smallest picture; 1 if memory does not grow
    whole_over_tiled        peak for the smallest picture in one piece over its peak in tiles
    startup_seconds         median time of the whole command for a picture of 16 px and an ONNX file

The benchmark prints tables and, as its last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from srtrain.data.embedded import embedded
from srtrain.data.picture import read_rgb, write_png

SIZES = {"1k": (576, 1024), "2k": (1080, 1920), "4k": (2160, 3840)}
"""Input sizes as (height, width), by name."""
SUFFIXES = {"onnxruntime": ".onnx", "ncnn": ".param", "mindir": ".mindir"}
_SAMPLE_SECONDS = 0.005


@dataclass(frozen=True)
class Watched:
    """Peak memory and time of a process."""

    peak_bytes: int
    seconds: float


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, required=True, help="a run folder or a file of weights")
    parser.add_argument("--engines", nargs="+", choices=(*SUFFIXES, "mindspore"), default=["onnxruntime"])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--memory", default="1.5GB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--startups", type=int, default=9)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = {name: measure(name, args, Path(folder)) for name in args.engines}
        startup = measure_startup(args, Path(folder)) if args.startups else {}
    print(json.dumps({"memory": args.memory, "engines": result, **startup}))
    return 0


def measure(engine: str, args: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Upscale every size with one engine; return peaks in GB, seconds, and their ratios."""
    model = exported(args.weights, folder, SUFFIXES[engine]) if engine in SUFFIXES else args.weights
    peaks: dict[str, float] = {}
    result: dict[str, float] = {}
    runs = [("whole", args.sizes[0], "64GB"), *((name, name, args.memory) for name in args.sizes)]
    print(f"{engine:12}  {'picture':>7}  {'memory':>7}  {'peak GB':>7}  {'seconds':>7}")
    for label, size, memory in runs:
        picture = enlarged_photograph(folder / f"{size}.png", SIZES[size])
        words = ["infer", model, picture, "--to", folder / "sr.png", "--overwrite"]
        options = ["--engine", engine, "--memory", memory, "--threads", args.threads]
        watched = watch([sys.executable, "-m", "srtrain.cli", *map(str, [*words, *options])])
        peaks[label] = watched.peak_bytes / 1e9
        result |= {f"peak_{label}_gb": round(peaks[label], 3), f"seconds_{label}": round(watched.seconds, 1)}
        print(f"{'':12}  {size:>7}  {memory:>7}  {peaks[label]:7.2f}  {watched.seconds:7.1f}", flush=True)
    first, last = args.sizes[0], args.sizes[-1]
    result["largest_over_smallest"] = round(peaks[last] / peaks[first], 3)
    result["whole_over_tiled"] = round(peaks["whole"] / peaks[first], 3)
    return result


def measure_startup(args: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Return the time of the whole command for a tiny picture and an ONNX file, in seconds."""
    model = exported(args.weights, folder, ".onnx")
    picture = enlarged_photograph(folder / "tiny.png", (16, 16))
    words = [sys.executable, "-m", "srtrain.cli", "infer", model, picture, "--overwrite"]
    seconds = [watch(list(map(str, words))).seconds for _ in range(args.startups + 1)][
        1:
    ]  # the first start reads from the disk
    print(f"start-up: median {statistics.median(seconds):.2f} s, fastest {min(seconds):.2f} s")
    return {"startup_seconds": round(statistics.median(seconds), 3), "startup_least": round(min(seconds), 3)}


def exported(weights: Path, folder: Path, suffix: str) -> Path:
    """Export the weights, in a separate process."""
    file = folder / f"network{suffix}"
    if not file.exists():
        words = [sys.executable, "-m", "srtrain.cli", "export", str(weights), "--to", str(file)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return file


def enlarged_photograph(file: Path, size: tuple[int, int]) -> Path:
    """Write a photograph of this (height, width) unless the file exists."""
    if not file.exists():
        photo = read_rgb(embedded(2, names=("coffee",))[0].gt)
        height, width = size
        large = cv2.resize(photo, (width, height), interpolation=cv2.INTER_CUBIC)
        write_png(file, np.ascontiguousarray(large))
    return file


def watch(words: Sequence[str]) -> Watched:
    """Run a command and read its memory every few milliseconds.

    The peak kept by the kernel is not enough: the command resets it once, to measure its engine.
    """
    started = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    status = Path(f"/proc/{process.pid}/status")
    peak = 0
    while process.poll() is None:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
        peak = max(peak, int(found[1]) * 1024 if found else 0)
        time.sleep(_SAMPLE_SECONDS)
    seconds = time.perf_counter() - started
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(words)} ended with exit code {process.returncode}")
    return Watched(peak, seconds)


if __name__ == "__main__":
    sys.exit(main())
