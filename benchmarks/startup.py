"""Measure how long srtrain takes to start.

    pip install '.[cpu]' && python benchmarks/startup.py

Each command runs several times as a whole process, in turns. ``srtrain infer`` upscales a picture of 16 px with an
exported network of one convolution, so its time is the start-up. The results are:

    help_seconds        median time of ``srtrain --help`` (goal: below 0.3)
    infer_seconds       median time of ``srtrain infer`` (goal: below 0.6)
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

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from srtrain.data.picture import write_png
from srtrain.engines.exported import METADATA_KEY
from srtrain.evaluation.table import aligned

SIDE_PX = 16


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9, help="runs of each command (default: 9)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        network, picture = Path(folder) / "network.onnx", Path(folder) / "picture.png"
        write_network(network)
        write_png(picture, np.full((SIDE_PX, SIDE_PX, 3), 127, np.uint8))
        srtrain = [sys.executable, "-m", "srtrain.cli"]
        commands = {
            "python": [sys.executable, "-c", "pass"],
            "help": [*srtrain, "--help"],
            "infer": [*srtrain, "infer", str(network), str(picture), "--overwrite"],
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


def write_network(file: Path) -> None:
    """Write a network that enlarges twice: one convolution and a pixel shuffle."""
    weight = np.random.default_rng(0).normal(0, 0.1, (12, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["lq", "weight"], ["features"], pads=[1, 1, 1, 1]),
            helper.make_node("DepthToSpace", ["features"], ["sr"], blocksize=2, mode="CRD"),
        ],
        "network",
        [helper.make_tensor_value_info("lq", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("sr", TensorProto.FLOAT, ["n", 3, "h2", "w2"])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(
        model, {METADATA_KEY: json.dumps({"scale": 2, "receptive_px": 1, "size_multiple": 1})}
    )
    onnx.save(model, str(file))


if __name__ == "__main__":
    sys.exit(main())
