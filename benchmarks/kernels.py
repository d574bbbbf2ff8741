"""Measure our own convolutions: each one beside the processor's peak, and a whole network beside ONNX Runtime.

    pip install '.[cpu]' && python benchmarks/kernels.py

A convolution's speed is in "direct" GFLOP/s: the operations of a direct sum over its time. F(4,3) needs a quarter of
the multiplications, so it can exceed the peak. The peak is that of the library's innermost loop on data in the
first-level cache. Engines take turns on the same picture. The benchmark prints tables and, as its last line, JSON.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import tempfile
from pathlib import Path

import numpy as np

from srtrain.engines.engine import Engine
from srtrain.export.write import export
from srtrain.infer.open import open_engine
from srtrain.kernels.library import DIRECT, F23, F43, Library, best_seconds, load_library
from srtrain.models.edsr import EDSR
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.trainer.checkpoint import CheckpointStore

METHODS = {"direct": DIRECT, "F(2,3)": F23, "F(4,3)": F43}
CHANNELS = ((3, 64), (16, 16), (32, 32), (64, 64), (64, 256), (256, 256), (64, 3))
SIDE_PX = 128
ENGINES = {"native": "native", "onnxruntime": "onnx"}
"""Engines, and the suffixes of their files."""
ARGS = {"n_resblocks": 16, "n_feats": 64}


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each measurement")
    parser.add_argument("--scales", type=int, nargs="+", default=[2, 3, 4])
    args = parser.parse_args()
    library = load_library()
    library.set_threads(args.threads)
    peak = library.peak(args.rounds) / 1e9
    print(f"{library.instructions}, threads: {args.threads}, peak of the innermost loop: {peak:.0f} GFLOP/s")
    results: dict[str, float] = {"peak_gflops": round(peak, 1)}
    results |= convolutions(library, args.rounds)
    for scale in args.scales:
        results[f"native_over_onnxruntime_x{scale}"] = network(scale, args.threads, args.rounds)
    print(json.dumps(results))
    return 0


def convolutions(library: Library, rounds: int) -> dict[str, float]:
    """Print the speed of single convolutions in direct GFLOP/s; return that of F(4,3) by channels."""
    print(f"\n3x3, {SIDE_PX} x {SIDE_PX} px{'':<6}" + "".join(f"{name:>10}" for name in METHODS))
    found: dict[str, float] = {}
    for n_in, n_out in CHANNELS:
        speeds = {
            name: library.speed_of_convolution(n_in, n_out, SIDE_PX, method, rounds) / 1e9
            for name, method in METHODS.items()
        }
        print(f"{n_in:>6} -> {n_out:<14}" + "".join(f"{speed:>10.0f}" for speed in speeds.values()))
        found[f"f43_{n_in}_{n_out}_gflops"] = round(speeds["F(4,3)"], 1)
    return found


def network(scale: int, threads: int, rounds: int) -> float:
    """Print the time of EDSR-baseline on a picture; return the median ratio of ONNX Runtime's time to ours."""
    model = EDSR(scale, ARGS["n_resblocks"], ARGS["n_feats"])
    initialise(model, kaiming_uniform(), seed=1)
    with tempfile.TemporaryDirectory() as folder:
        about = {"model": "edsr", "model_args": ARGS, "scale": scale}
        CheckpointStore(Path(folder) / "checkpoints", about).save(1, {"model": model.parameters_dict()}, {})
        engines: dict[str, Engine] = {
            name: open_engine(export(Path(folder), Path(folder) / f"net.{suffix}").file, name, threads)
            for name, suffix in ENGINES.items()
        }
    lq = np.random.default_rng(0).uniform(0, 255, (1, 3, SIDE_PX, SIDE_PX)).astype(np.float32)
    outputs = {name: engine(lq) for name, engine in engines.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ENGINES}
    for _ in range(rounds):
        for name, engine in engines.items():
            seconds[name].append(best_seconds(functools.partial(engine, lq), 1))
    ratios = [theirs / ours for ours, theirs in zip(*(seconds[name] for name in ENGINES), strict=True)]
    difference = float(np.abs(outputs["native"] - outputs["onnxruntime"]).max())
    times = ", ".join(f"{name} {1e3 * min(values):.0f} ms" for name, values in seconds.items())
    ratio = round(statistics.median(ratios), 2)
    print(
        f"EDSR-baseline x{scale}, {SIDE_PX} x {SIDE_PX} px: {times}, ratio {ratio}, difference {difference:.1g}"
    )
    return ratio


if __name__ == "__main__":
    raise SystemExit(main())
