"""Measure how long srtrain takes to start.

    pip install '.[cpu]' && python benchmarks/startup.py

Each command runs several times as a whole process, in turns. ``srtrain infer`` upscales a picture of 16 px with a tiny
network, so its time is the start-up. The results are:

    help_seconds        median time of ``srtrain --help`` (goal: below 0.3)
    infer_seconds       median time of ``srtrain infer`` with the default engine of a CPU, ``native`` (goal: below 0.6)
    infer_onnx_seconds  the same with an ONNX file
    python_seconds      median time of ``python -c pass`` for comparison
    help_cpu_seconds    processor time of the above, which other work on the machine affects less
    infer_cpu_seconds
    python_cpu_seconds

The benchmark prints a table and, as its last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from srtrain.data.picture import write_png
from srtrain.evaluation.table import aligned
from srtrain.export.write import export
from srtrain.models.edsr import EDSR
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.trainer.checkpoint import CheckpointStore

SIDE_PX = 16


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9, help="runs of each command (default: 9)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        native, onnx, picture = (
            Path(folder) / name for name in ("network.native", "network.onnx", "picture.png")
        )
        write_networks(native, onnx)
        write_png(picture, np.full((SIDE_PX, SIDE_PX, 3), 127, np.uint8))
        srtrain = [sys.executable, "-m", "srtrain.cli"]
        commands = {
            "python": [sys.executable, "-c", "pass"],
            "help": [*srtrain, "--help"],
            "infer": [*srtrain, "infer", str(native), str(picture), "--overwrite"],
            "infer_onnx": [*srtrain, "infer", str(onnx), str(picture), "--overwrite"],
        }
        for command in commands.values():  # the first run reads the files from disk
            measure(command)
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(args.rounds):
            for name, command in commands.items():
                runs[name].append(measure(command))
    result, rows = {}, []
    for name, measured in runs.items():
        seconds, cpu = (sorted(column) for column in zip(*measured, strict=True))
        result[f"{name}_seconds"] = statistics.median(seconds)
        result[f"{name}_cpu_seconds"] = statistics.median(cpu)
        rows.append(
            (name, *(f"{v:.2f}" for v in (statistics.median(seconds), seconds[0], statistics.median(cpu))))
        )
    print(aligned(("command", "median s", "fastest s", "median processor s"), rows))
    print(json.dumps({name: round(value, 3) for name, value in result.items()}))
    return 0


def measure(command: list[str]) -> tuple[float, float]:
    """Run a command; return its time and its processor time in seconds (0 on Windows, which does not report it)."""
    before, started = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - started, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, used


def write_networks(*files: Path) -> None:
    """Export an EDSR x2 of one block and 4 features."""
    arguments: dict[str, Any] = {"n_resblocks": 1, "n_feats": 4}
    model = EDSR(2, **arguments)
    initialise(model, kaiming_uniform(), seed=1)
    about = {"model": "edsr", "model_args": arguments, "scale": 2}
    with tempfile.TemporaryDirectory() as folder:
        CheckpointStore(Path(folder) / "checkpoints", about).save(1, {"model": model.parameters_dict()}, {})
        for file in files:
            export(Path(folder), file)


if __name__ == "__main__":
    sys.exit(main())
