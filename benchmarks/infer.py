"""Compare the time to upscale a picture: srtrain's engines, PyTorch, and plain ONNX Runtime.

    pip install '.[cpu,bench]' && python benchmarks/infer.py --weights ../shared/data/weights/EDSR_f64b5_x2/*.npz

There are three networks: EDSR-baseline x2 and x4 with random weights, and the file of ``--weights`` (without it: 5
blocks with random weights). srtrain's engines upscale as ``srtrain infer`` does, in tiles if the memory limit requires
them; ``whole`` is the default engine with the large picture in one piece, as the peers process it. The peers are
PyTorch with channels last, ONNX Runtime and OpenVINO on the file that ``torch.onnx`` exports, and ncnn on our export of
the plain network. All have the same weights and number of threads. Their outputs are first compared on a small picture.

Every worker is a separate process, and the workers take turns so that all see the same machine. For the large
picture, each turn is a new process, because some hold gigabytes. A ratio is the median over the turns of the faster
peer's time divided by ours, so more is better. ``default_over_best_peer`` is the ratio of the engine that a
checkpoint gets if none is named; ``fastest_over_best_peer`` is that of the fastest engine. The benchmark prints
tables and, as its last line, JSON. In the JSON, a ratio without a case is the lowest of all cases.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

SCALES = {"baseline": 2, "small": 2, "baseline_x4": 4}
"""The networks, and their scales."""
BASELINE = {"n_resblocks": 16, "n_feats": 64, "rgb_mean": (0.4488, 0.4371, 0.4040)}
SMALL = {"n_resblocks": 5, "n_feats": 64, "rgb_mean": (0.0, 0.0, 0.0)}
CASES = {"128x128": (128, 128), "480x320": (320, 480), "1920x1080": (1080, 1920)}
"""Input sizes as (height, width), by name (width × height)."""
LARGE = "1920x1080"
ENGINES = ("mindspore", "mindir", "onnxruntime", "native")
WHOLE = "whole"
PEERS = ("torch_channels_last", "onnxruntime_plain", "openvino", "ncnn")
CHECK_PX = (33, 47)
ENSEMBLE = "ensemble"

Array = Any
Run = Callable[[Array], Array]


def main() -> int:
    """Run the benchmark, or one of its workers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, help="weights of an EDSR x2 to measure beside the baseline")
    parser.add_argument("--rounds", type=int, default=7, help="turns per worker")
    parser.add_argument(
        "--large-rounds", type=int, default=2, help=f"turns per worker for {LARGE}; 0 skips this size"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--networks", nargs="+", choices=SCALES, default=list(SCALES))
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker == "prepare":
        prepare(args.folder, args.weights, args.networks, args.threads)
        return 0
    if args.worker:
        work(args.worker, args.folder, args.threads)
        return 0
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        os.environ["SRTRAIN_CACHE"] = place
        extra = ["--weights", str(args.weights.resolve())] if args.weights else []
        defaults = Worker("prepare", Path(place), args.threads, *extra, "--networks", *args.networks).read()
        for network in args.networks:
            results |= compare(network, Path(place) / network, defaults[network], args)
    for kind in ("default_over_best_peer", "fastest_over_best_peer"):
        results[kind] = min(value for name, value in results.items() if name.endswith(kind))
    print(json.dumps(results))
    return 0


class Worker:
    """A process that reads one request per line and answers with lines that begin with ``>``."""

    def __init__(self, name: str, folder: Path, threads: int, *more: str) -> None:
        words = ["--worker", name, "--folder", str(folder), "--threads", str(threads), *more]
        # PyTorch must not inherit the package's setting for MindSpore's oneDNN.
        environment = {k: v for k, v in os.environ.items() if k != "ONEDNN_MAX_CPU_ISA"}
        environment |= {"GLOG_v": "3"}
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, __file__, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, line: str) -> Any:
        """Send a line; return the answer."""
        stream: IO[str] | None = self.process.stdin
        assert stream is not None
        stream.write(line + "\n")
        stream.flush()
        return self.read()

    def read(self) -> Any:
        """Return the next answer."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(">"):
                return json.loads(line[1:])
        sys.exit(f"the worker {self.name!r} ended too early: {self.process.args!r}")

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def say(answer: Any) -> None:
    """Send an answer to the benchmark."""
    print(f">{json.dumps(answer)}", flush=True)


def compare(network: str, folder: Path, default: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run the workers in turns on one network; print a table per case; return the ratios."""
    names = [*ENGINES, *PEERS]
    workers = {name: Worker(name, folder, args.threads) for name in names}
    facts = {name: worker.read() for name, worker in workers.items()}
    results: dict[str, Any] = {f"{network}_default": default}
    differences = compare_outputs(folder)
    print(
        f"\n{network}: {(folder / 'about.txt').read_text().strip()}, {args.threads} threads; default: {default}"
    )
    print(f"{'':<22}{'first result, s':>16}{'from PyTorch, grey levels':>27}")
    for name in names:
        print(f"{name:<22}{facts[name]['first_seconds']:>16.2f}{differences[name]:>27.2g}")
    for case in CASES:
        if case == LARGE:
            continue
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(args.rounds):
            for name, worker in workers.items():
                seconds[name].append(worker.ask(case)["seconds"])
        results |= report(network, case, seconds, default)
    turns = [workers[default].ask(ENSEMBLE) for _ in range(args.rounds)]
    ensemble = statistics.median(turn["ensemble_seconds"] / turn["seconds"] for turn in turns)
    print(f"self-ensemble of {next(iter(CASES))}: takes {ensemble:.2f} times as long as one pass")
    results[f"{network}_self_ensemble_over_one_pass"] = round(ensemble, 3)
    for worker in workers.values():
        worker.end()
    if args.large_rounds:
        results |= compare_large(network, folder, default, args)
    return results


def compare_large(network: str, folder: Path, default: str, args: argparse.Namespace) -> dict[str, Any]:
    """Compare on the large picture, with a new process for each turn."""
    names = [*ENGINES, WHOLE, *PEERS]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    peaks: dict[str, float] = {}
    for _ in range(args.large_rounds):
        for name in names:
            worker = Worker(name, folder, args.threads)
            worker.read()
            worker.ask(next(iter(CASES)))
            answer = worker.ask(LARGE)
            seconds[name].append(answer["seconds"])
            peaks[name] = answer["peak_gb"]
            worker.end()
    results = report(network, LARGE, seconds, default)
    print("peak memory, GB: " + ", ".join(f"{name} {gb:.2f}" for name, gb in peaks.items()))
    return results | {f"{network}_{LARGE}_{name}_peak_gb": round(gb, 2) for name, gb in peaks.items()}


def report(network: str, case: str, seconds: dict[str, list[float]], default: str) -> dict[str, Any]:
    """Print the times of one case; return its ratios."""
    best = {name: min(times) for name, times in seconds.items()}
    peers = [min(turn) for turn in zip(*(seconds[name] for name in PEERS), strict=True)]
    print(f"\n{case:<22}{'best ms':>10}{'median ms':>11}{'vs best peer':>14}")
    ratios = {name: ratio(peers, times) for name, times in seconds.items()}
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:<22}{1e3 * best[name]:>10.1f}{1e3 * median:>11.1f}{ratios[name]:>13.2f}×")
    fastest = min(set(best) - set(PEERS), key=lambda name: best[name])
    prefix = f"{network}_{case}"
    return {
        f"{prefix}_fastest": fastest,
        f"{prefix}_default_over_best_peer": ratios[default],
        f"{prefix}_fastest_over_best_peer": ratios[fastest],
        **{f"{prefix}_{name}_ms": round(1e3 * best[name], 1) for name in seconds},
    }


def ratio(a: list[float], b: list[float]) -> float:
    """Return the median of the ratios a / b of each turn."""
    return round(statistics.median(x / y for x, y in zip(a, b, strict=True)), 3)


def compare_outputs(folder: Path) -> dict[str, float]:
    """Return the largest difference of each worker's output from PyTorch's on the small picture, in grey levels."""
    import numpy as np

    outputs = {file.stem: np.load(file) for file in folder.glob("*.npy")}
    reference = outputs[PEERS[0]]
    return {name: float(np.abs(out - reference).max()) for name, out in outputs.items()}


def prepare(folder: Path, weights: Path | None, networks: list[str], threads: int) -> None:
    """Write the weights of each network and their exported files; answer with the default engine of each."""
    import numpy as np

    from srtrain.device.backend import Backend
    from srtrain.infer.open import open_engine
    from srtrain.models.edsr import EDSR
    from srtrain.models.initialise import initialise, kaiming_uniform
    from srtrain.weights import edsr_pytorch
    from srtrain.weights.read import read_weights

    Backend().start("graph", threads)
    defaults = {}
    for network in networks:
        place = folder / network
        place.mkdir()
        file = place / "weights.npz"
        if network == "small" and weights is not None:
            file.write_bytes(weights.read_bytes())
        else:
            args: dict[str, Any] = SMALL if network == "small" else BASELINE
            model = EDSR(SCALES[network], **args)
            initialise(model, kaiming_uniform(), seed=1)
            tensors = {name: np.asarray(p.asnumpy()) for name, p in model.parameters_dict().items()}
            edsr_pytorch.write(file, tensors, {"model": "edsr", "scale": SCALES[network], "model_args": args})
        for engine in (*ENGINES, "ncnn"):
            open_engine(file, engine)
        defaults[network] = open_engine(file).name
        about = read_weights(file).about
        (place / "about.txt").write_text(f"{about['model']} x{about['scale']}, {about['model_args']}")
        export_plainly(file, place / "plain.onnx")
    say(defaults)


def torch_network(file: Path) -> Any:
    """Return the network in PyTorch with the weights of a file, in PyTorch's channel order."""
    import torch
    from torch_edsr import EDSR

    from srtrain.weights.read import read_weights

    weights = read_weights(file)
    args = weights.about["model_args"]
    model = EDSR(weights.about["scale"], args["n_resblocks"], args["n_feats"], args.get("res_scale", 1.0))
    model.mean.copy_(255 * torch.tensor(args["rgb_mean"]).reshape(1, 3, 1, 1))
    tensors = {name: torch.from_numpy(tensor.copy()) for name, tensor in weights.tensors.items()}
    for name, tensor in tensors.items():
        if name.startswith("upsampler."):
            tensors[name] = (
                tensor.unflatten(0, (4, args["n_feats"])).transpose(0, 1).flatten(0, 1).contiguous()
            )
    model.load_state_dict(tensors)
    return model.eval()


def export_plainly(weights: Path, file: Path) -> None:
    """Export from PyTorch as its manual describes, with dynamic sizes."""
    import torch

    axes = {0: "batch", 2: "height", 3: "width"}
    torch.onnx.export(
        torch_network(weights),
        (torch.zeros(1, 3, 24, 24),),
        str(file),
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": axes, "y": axes},
        dynamo=False,
    )


def work(name: str, folder: Path, threads: int) -> None:
    """Act as a worker: upscale the picture that each line names, and answer with the time."""
    peers = {"torch_channels_last": run_torch, "onnxruntime_plain": run_plainly, "openvino": run_openvino}
    run = peers.get(name, run_engine)(name, folder, threads)
    import numpy as np

    from srtrain.models.ensemble import SelfEnsemble

    generator = np.random.default_rng(0)

    def noise(px: tuple[int, int]) -> Array:
        return generator.uniform(0, 255, (1, 3, *px)).astype(np.float32)

    checked = np.random.default_rng(1).uniform(0, 255, (1, 3, *CHECK_PX)).astype(np.float32)
    np.save(folder / f"{name}.npy", run(checked))
    say({"first_seconds": since_start()})
    warm: set[str] = set()
    for line in sys.stdin:
        case = line.strip()
        first = next(iter(CASES))
        lq = noise(CASES[first if case == ENSEMBLE else case])
        if case not in warm and case != LARGE:
            run(lq)
        warm.add(case)
        answer = {"seconds": timed(run, lq)}
        if case == ENSEMBLE:
            answer["ensemble_seconds"] = timed(SelfEnsemble(run), lq)
        say(answer | {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20})


def timed(run: Run, lq: Array) -> float:
    """Return the seconds of one call."""
    started = time.perf_counter()
    run(lq)
    return time.perf_counter() - started


def since_start() -> float:
    """Return the seconds since this process was started, from /proc."""
    ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return uptime - ticks / os.sysconf("SC_CLK_TCK")


def run_engine(name: str, folder: Path, threads: int) -> Run:
    """Return one of srtrain's engines, set up as in ``srtrain infer``."""
    from srtrain.engines.memory import parse_bytes
    from srtrain.engines.tiles import Tiled
    from srtrain.infer.model import DEFAULT_MEMORY
    from srtrain.infer.open import open_engine

    if name == WHOLE:
        return open_engine(folder / "weights.npz", threads=threads)
    engine = open_engine(folder / "weights.npz", name, threads)
    return Tiled(engine, memory_bytes=parse_bytes(DEFAULT_MEMORY))


def run_torch(name: str, folder: Path, threads: int) -> Run:
    """Return a function that runs PyTorch with channels last."""
    import torch

    torch.set_num_threads(threads)
    model = torch_network(folder / "weights.npz").to(memory_format=torch.channels_last)

    def run(lq: Array) -> Array:
        with torch.inference_mode():
            return model(torch.from_numpy(lq).to(memory_format=torch.channels_last)).numpy()

    return run


def run_plainly(name: str, folder: Path, threads: int) -> Run:
    """Return a function that runs ONNX Runtime on the file exported by PyTorch."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        str(folder / "plain.onnx"), options, providers=["CPUExecutionProvider"]
    )
    return lambda lq: session.run(None, {"x": lq})[0]


def run_openvino(name: str, folder: Path, threads: int) -> Run:
    """Return a function that runs OpenVINO in float32 on the file exported by PyTorch."""
    import openvino

    options = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(str(folder / "plain.onnx"), "CPU", options)
    return lambda lq: compiled(lq)[0]


if __name__ == "__main__":
    sys.exit(main())
