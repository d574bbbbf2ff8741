"""Measure the search: where the time of a generation goes, what compiling costs, and a training step beside PyTorch.

    pip install '.[cpu,esr,bench]' && python benchmarks/search.py --data ../shared/data

There are four measurements:

1. One generation of ``recipes/esr_x2_t91_search.py``: the share of its wall time that is spent in training steps.
2. The first update of the authors' example network (17 blocks), including compilation, without and with MindSpore's
   compile cache.
3. An update of that network, batch 8, 32 px in, in MindSpore and in PyTorch, in turns.
4. One generation of the evolution alone, population 1000, in the authors' whole space.

The benchmark prints each result and, as its last line, JSON.
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
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
BATCH, LQ_PX = 8, 32
STEPS_A_TURN = 3


def main() -> int:
    """Run all measurements, or one of the workers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder with T91 and Set5"
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns per worker")
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS))
    parser.add_argument("--worker", choices=("ours", "torch"), help=argparse.SUPPRESS)
    parser.add_argument("--blocks", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args.worker, args.blocks)
        return 0
    results: dict[str, float] = {}
    for name in args.only:
        results |= MEASUREMENTS[name](args)
    print(json.dumps({name: round(value, 3) for name, value in results.items()}))
    return 0


def generation(args: argparse.Namespace) -> dict[str, float]:
    """Search one generation; return the share of its time spent in training steps."""
    with tempfile.TemporaryDirectory() as place:
        run_dir = Path(place) / "run"
        words = [
            *(sys.executable, "-m", "srtrain.cli", "run", str(ROOT / "recipes" / "esr_x2_t91_search.py")),
            *(f"data.root={args.data}", f"data.train.root={args.data / 'T91'}", f"run_dir={run_dir}"),
            *("hooks.search.evolution.n_generations=1", "hooks.search.evolution.n_individuals=4"),
        ]
        subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
        candidates = json.loads((run_dir / "search" / "history.json").read_text())
    parts: dict[str, float] = {}
    for candidate in candidates:
        for part, seconds in candidate["seconds"].items():
            parts[part] = parts.get(part, 0.0) + seconds
    whole = sum(parts.values())
    print(f"\na generation of {len(candidates)} candidates, seconds per part")
    for part, seconds in parts.items():
        print(f"{part:<10}{seconds:8.1f}{seconds / whole:8.1%}")
    return {"training_share": parts["train"] / whole, "candidate_seconds": whole / len(candidates)}


def compiling(args: argparse.Namespace) -> dict[str, float]:
    """Time the first update of the example network, without and with MindSpore's compile cache."""
    with tempfile.TemporaryDirectory() as cache:
        cached = {"MS_COMPILER_CACHE_ENABLE": "1", "MS_COMPILER_CACHE_PATH": cache}
        seconds = {
            "naive": first_update({}),
            "fills the cache": first_update(cached),
            "from the cache": first_update(cached),
        }
    print("\nthe first update of the example network, seconds")
    for name, value in seconds.items():
        print(f"{name:<18}{value:6.1f}")
    return {
        "compile_seconds": seconds["naive"],
        "compile_speedup_cached": seconds["naive"] / seconds["from the cache"],
    }


def first_update(variables: dict[str, str]) -> float:
    """Return the seconds of the first update in a process with these environment variables."""
    process = start("ours", **variables)
    seconds = float(read(process))
    process.kill()
    process.wait()
    return seconds


def step(args: argparse.Namespace) -> dict[str, float]:
    """Time our update and PyTorch's in turns."""
    processes = {worker: start(worker) for worker in ("ours", "torch")}
    for process in processes.values():
        read(process)
    seconds: dict[str, list[float]] = {worker: [] for worker in processes}
    for _ in range(args.rounds):
        for worker, process in processes.items():
            pipe(process.stdin).write("go\n")
            pipe(process.stdin).flush()
            seconds[worker].append(float(read(process)) / STEPS_A_TURN)
    for process in processes.values():
        process.kill()
        process.wait()
    ratio = statistics.median(t / o for o, t in zip(seconds["ours"], seconds["torch"], strict=True))
    print(f"\none update of the example network, batch {BATCH}, {LQ_PX} px in, milliseconds")
    for worker, values in seconds.items():
        print(f"{worker:<8}best {1e3 * min(values):8.1f}   median {1e3 * statistics.median(values):8.1f}")
    return {"step_over_pytorch": ratio, "step_ms": 1e3 * min(seconds["ours"])}


def evolution(args: argparse.Namespace) -> dict[str, float]:
    """Time ask, repair and tell for a population of 1000, with a fitness that takes no time."""
    from srtrain_plugins.esr.search.costs import Costs
    from srtrain_plugins.esr.search.evolution import Evolution, EvolutionSettings
    from srtrain_plugins.esr.search.space import Space, SpaceSettings
    from srtrain_plugins.esr.search.types import Outcome

    space = Space(SpaceSettings(), Costs(2, 32))
    search = Evolution(space, 1, EvolutionSettings(n_generations=6, n_individuals=1000, n_elites=100))
    turns = []
    while not search.done:
        started = time.perf_counter()
        for individual in search.ask():
            psnr = 30 + sum(map(len, individual.blocks)) / 1000 + individual.number % 7 / 100
            search.tell(individual, Outcome({"psnr": psnr, "parameters": 320_000, "multi_adds": 7e10}))
        turns.append(time.perf_counter() - started)
    print("\nevolution alone, 1000 individuals, seconds per generation (the first also counts parameters)")
    print("  ".join(f"{seconds:.2f}" for seconds in turns))
    return {"evolution_seconds": statistics.median(turns[1:]), "evolution_first_seconds": turns[0]}


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], dict[str, float]]] = {
    "generation": generation,
    "compiling": compiling,
    "step": step,
    "evolution": evolution,
}


def start(worker: str, **variables: str) -> subprocess.Popen[str]:
    """Start a worker. PyTorch must not inherit the package's setting for MindSpore's oneDNN, nor import the package."""
    from srtrain.models.esrn import EXAMPLE

    environment = {k: v for k, v in os.environ.items() if k != "ONEDNN_MAX_CPU_ISA"} | variables
    return subprocess.Popen(
        [sys.executable, __file__, "--worker", worker, "--blocks", *EXAMPLE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )


def pipe(stream: IO[str] | None) -> IO[str]:
    """Return a stream of a worker, which must be a pipe."""
    if stream is None:
        raise TypeError("the worker was started without pipes")
    return stream


def read(process: subprocess.Popen[str]) -> str:
    """Return the next line of a worker that starts with ``>``."""
    for line in pipe(process.stdout):
        if line.startswith(">"):
            return line[1:]
    sys.exit(
        f"a worker ended too early: {process.args!r}. This benchmark needs PyTorch: pip install '.[bench]'."
    )


def work(worker: str, blocks: list[str]) -> None:
    """Act as a worker: print the time of the first update, then the time of each turn."""
    import numpy as np

    generator = np.random.default_rng(0)
    lq = generator.random((BATCH, 3, LQ_PX, LQ_PX), np.float32) * 255
    gt = generator.random((BATCH, 3, 2 * LQ_PX, 2 * LQ_PX), np.float32) * 255
    update = our_update(blocks, lq, gt) if worker == "ours" else torch_update(blocks, lq, gt)
    started = time.perf_counter()
    update()
    print(f">{time.perf_counter() - started}", flush=True)
    update()
    while sys.stdin.readline():
        started = time.perf_counter()
        for _ in range(STEPS_A_TURN):
            update()
        print(f">{time.perf_counter() - started}", flush=True)


def our_update(blocks: list[str], lq: Any, gt: Any) -> Callable[[], float]:
    """Return a function that makes one update as the trainer does."""
    import mindspore as ms

    from srtrain.device.backend import Backend
    from srtrain.models.esrn import ESRN
    from srtrain.models.initialise import initialise, kaiming_uniform
    from srtrain.trainer.losses.l1 import L1
    from srtrain.trainer.optim import build_optimizer
    from srtrain.trainer.step import TrainStep

    Backend().start("graph", threads=0)
    model = ESRN(2, blocks)
    initialise(model, kaiming_uniform(), seed=1)
    update = TrainStep(model, L1(), build_optimizer("adam", list(model.trainable_params()), 1e-4))
    tensors = ms.Tensor(lq), ms.Tensor(gt)
    return lambda: float(update(*tensors))


def torch_update(blocks: list[str], lq: Any, gt: Any) -> Callable[[], float]:
    """Return a function that makes the same update in PyTorch."""
    import torch
    from torch.nn import functional
    from torch_esrn import ESRN

    model = ESRN(blocks)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    inputs, targets = torch.from_numpy(lq), torch.from_numpy(gt)

    def update() -> float:
        optimizer.zero_grad()
        loss = functional.l1_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss.item()

    return update


if __name__ == "__main__":
    sys.exit(main())
