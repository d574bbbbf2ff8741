"""Compare exported networks in ONNX Runtime: the linear end as one convolution, and as the layers of the checkpoint.

    pip install '.[cpu]' && python benchmarks/linear_end.py

The network is EDSR-baseline with random weights at x2, x3 and x4. Both files come from ``srtrain export``, one with
``--plain``, and are run by the engine ``onnxruntime``, borders included. They take turns, so that both see the same
machine. A ratio is the median over the turns of the plain network's time divided by the other's, so more is better. The
benchmark prints a table and, as its last line, JSON. In the JSON, a ratio without a size is the lowest of all sizes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from srtrain.engines.engine import Engine
from srtrain.export.options import Options
from srtrain.export.write import export
from srtrain.infer.open import open_engine
from srtrain.models.edsr import EDSR
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.trainer.checkpoint import CheckpointStore

ARGS = {"n_resblocks": 16, "n_feats": 64}
SIZES = {"128x128": (128, 128), "480x320": (320, 480)}
"""Input sizes as (height, width), by name (width × height)."""


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15, help="turns per network and size")
    parser.add_argument("--scales", type=int, nargs="+", choices=(2, 3, 4), default=[2, 3, 4])
    args = parser.parse_args()
    results: dict[str, float] = {}
    print(f"{'':<14}{'plain, ms':>12}{'collapsed, ms':>15}{'ratio':>8}{'difference':>14}")
    for scale in args.scales:
        with tempfile.TemporaryDirectory() as folder:
            collapsed, plain = engines(Path(folder), scale, args.threads)
        ratios = {size: compare(plain, collapsed, size, args.rounds) for size in SIZES}
        results |= {f"x{scale}_{size}": ratio for size, ratio in ratios.items()}
        results[f"x{scale}_collapsed_over_plain"] = min(ratios.values())
    print(json.dumps(results))
    return 0


def engines(folder: Path, scale: int, threads: int) -> list[Engine]:
    """Return the engines of the collapsed network and of the plain one."""
    model = EDSR(scale, ARGS["n_resblocks"], ARGS["n_feats"])
    initialise(model, kaiming_uniform(), seed=1)
    about = {"model": "edsr", "model_args": ARGS, "scale": scale}
    CheckpointStore(folder / "checkpoints", about).save(1, {"model": model.parameters_dict()}, {})
    return [
        open_engine(
            export(folder, folder / f"plain_{plain}.onnx", Options(plain=plain), threads=threads).file,
            "onnxruntime",
            threads,
        )
        for plain in (False, True)
    ]


def compare(plain: Engine, collapsed: Engine, size: str, rounds: int) -> float:
    """Print a line of the table; return the median ratio."""
    lq = np.random.default_rng(0).uniform(0, 255, (1, 3, *SIZES[size])).astype(np.float32)
    difference = float(np.abs(plain(lq) - collapsed(lq)).max())
    seconds: dict[Engine, list[float]] = {plain: [], collapsed: []}
    for _ in range(rounds):
        for engine, times in seconds.items():
            started = time.perf_counter()
            engine(lq)
            times.append(time.perf_counter() - started)
    ratio = round(statistics.median(a / b for a, b in zip(*seconds.values(), strict=True)), 3)
    best = [1e3 * min(times) for times in seconds.values()]
    name = f"x{plain.scale} {size}"
    print(f"{name:<14}{best[0]:>12.1f}{best[1]:>15.1f}{ratio:>8.2f}{difference:>14.1g}", flush=True)
    return ratio


if __name__ == "__main__":
    sys.exit(main())
