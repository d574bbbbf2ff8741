"""Measure one update: the whole training loop, a bare compiled Cell, and the same update in PyTorch.

    pip install '.[cpu,bench]' && python benchmarks/train_step.py

Each worker is a process: ``bare`` (a compiled Cell on constant tensors), ``loop`` (the trainer with data, hooks and
logging), ``bare_plain`` and ``loop_plain`` (the same with MindSpore's own kernels, ``device.kernels=plain``), and
``torch`` and ``torch_channels_last`` (the same network and update in PyTorch). They take turns of a few steps, so that
all see the same machine. A ratio of pictures per second is the median of the ratios of each turn. The benchmark prints
tables and, as its last line, JSON. Leave out workers that you do not need with ``--workers``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MIXED = ("S_8_8_16", "G_8_16_24", "S_6_24_24", "C_4_16_16", "S_4_32_32", "G_6_8_16")
NETWORKS: dict[str, dict[str, Any]] = {
    "baseline": {"n_resblocks": 16, "n_feats": 64, "lq_px": 48, "batch": 8, "steps": 3},
    "small": {"n_resblocks": 4, "n_feats": 32, "lq_px": 24, "batch": 8, "steps": 40},
    "wide": {"n_resblocks": 4, "n_feats": 256, "lq_px": 32, "batch": 4, "steps": 3},
    "esrn": {"blocks": None, "lq_px": 32, "batch": 8, "steps": 3},
    "mixed": {"blocks": MIXED, "lq_px": 32, "batch": 8, "steps": 6},
}
"""EDSR x2 by its size, or ESRN x2 by its blocks; ``None`` is the authors' example of 17 blocks."""

WORKERS = ("bare", "loop", "bare_plain", "loop_plain", "torch", "torch_channels_last")


def main() -> int:
    """Run the benchmark, or one of its workers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=6, help="turns per worker")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--workers", nargs="+", choices=WORKERS, default=list(WORKERS))
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args.worker, NETWORKS[args.networks[0]])
        return 0
    results: dict[str, float] = {}
    for name in args.networks:
        results.update(compare(name, args.rounds, args.workers))
    print(json.dumps(results))
    return 0


def compare(name: str, rounds: int, workers: list[str]) -> dict[str, float]:
    """Run the workers in turns on one network; print a table; return the ratios."""
    network = NETWORKS[name]
    processes = {worker: start(worker, name) for worker in workers}
    facts = {worker: json.loads(read_line(process)) for worker, process in processes.items()}
    seconds: dict[str, list[float]] = {worker: [] for worker in workers}
    for _ in range(rounds):
        for worker, process in processes.items():
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            seconds[worker].append(float(read_line(process)) / network["steps"])
    for process in processes.values():
        process.kill()
        process.wait()

    print(f"\n{name}: {network}, {os.cpu_count()} cores, {cpu_name()}")
    print(f"{'':<22}{'best ms':>9}{'median ms':>11}{'pictures/s':>12}{'first step s':>14}{'peak GB':>9}")
    for worker, times in seconds.items():
        first, peak = facts[worker]["first_step_seconds"], facts[worker]["peak_gb"]
        print(
            f"{worker:<22}{1e3 * min(times):>9.1f}{1e3 * statistics.median(times):>11.1f}"
            f"{network['batch'] / min(times):>12.2f}{first:>14.1f}{peak:>9.2f}"
        )
    prefix = "" if name == "baseline" else f"{name}_"
    results = {f"{prefix}{worker}_ms": round(1e3 * min(times), 1) for worker, times in seconds.items()}
    for ours, theirs, key in RATIOS:
        if ours in seconds and theirs in seconds:
            results[prefix + key] = ratio(seconds[theirs], seconds[ours])
    if "bare_plain" in workers:
        convolutions, kernels = convolution_ms(name)
        print(f"bare_plain, inside oneDNN's convolutions: {convolutions:.1f} ms per step, kernels {kernels}")
        results[f"{prefix}convolutions_ms"] = round(convolutions, 1)
    return results


RATIOS = (
    ("loop", "bare", "loop_over_bare"),
    ("loop", "torch", "loop_over_pytorch"),
    ("loop", "torch_channels_last", "loop_over_pytorch_channels_last"),
    ("loop", "loop_plain", "loop_over_loop_plain"),
)
"""Whose pictures per second, over whose, and the name of the ratio."""


def ratio(a: list[float], b: list[float]) -> float:
    """Return the median of the ratios a / b of each turn."""
    return round(statistics.median(x / y for x, y in zip(a, b, strict=True)), 3)


def convolution_ms(network: str) -> tuple[float, str]:
    """Return the milliseconds per step inside convolution kernels, as reported by oneDNN, and their names."""
    process = start("bare_plain", network, ONEDNN_VERBOSE="1")
    read_line(process)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    total, kernels = 0.0, set()
    for line in process.stdout:
        if line.startswith(">"):
            break
        words = line.strip().split(",")
        if words[0] == "onednn_verbose" and "exec" in words and "convolution" in words:
            total += float(words[-1])
            kernels.add(words[words.index("convolution") + 1])
    process.kill()
    process.wait()
    return total / NETWORKS[network]["steps"], ", ".join(sorted(kernels))


def start(worker: str, network: str, **more: str) -> subprocess.Popen[str]:
    """Start a worker. PyTorch must not inherit the package's setting for MindSpore's oneDNN."""
    environment = {k: v for k, v in os.environ.items() if k != "ONEDNN_MAX_CPU_ISA"} | more
    return subprocess.Popen(
        [sys.executable, __file__, "--worker", worker, "--networks", network],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )


def read_line(process: subprocess.Popen[str]) -> str:
    """Return the next line of a worker that starts with ``>``."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(">"):
            return line[1:]
    sys.exit(
        f"a worker ended too early: {process.args!r}. This benchmark needs PyTorch: pip install '.[bench]'."
    )


def say(text: str) -> None:
    """Send a line to the benchmark."""
    print(f">{text}", flush=True)


def work(worker: str, network: dict[str, Any]) -> None:
    """Act as a worker: do one turn for each line ``go``."""
    if worker.startswith("loop"):
        work_loop(network, "plain" if worker == "loop_plain" else "auto")
        return
    started = time.perf_counter()
    if worker.startswith("bare"):
        step = bare_step(network, worker == "bare")
    else:
        step = torch_step(network, worker == "torch_channels_last")
    step()
    first = time.perf_counter() - started
    step()
    say(json.dumps({"first_step_seconds": first, "peak_gb": peak_gb()}))
    while sys.stdin.readline():
        started = time.perf_counter()
        for _ in range(network["steps"]):
            step()
        say(str(time.perf_counter() - started))


def bare_step(network: dict[str, Any], fast: bool) -> Callable[[], float]:
    """Return a function that updates the compiled Cell on constant tensors and reads the loss, as the others do."""
    import mindspore as ms

    from srtrain.device.backend import Backend
    from srtrain.kernels.training import fast_twin
    from srtrain.models import MODELS
    from srtrain.models.initialise import initialise, kaiming_uniform
    from srtrain.trainer.losses.l1 import L1
    from srtrain.trainer.optim import build_optimizer
    from srtrain.trainer.step import TrainStep

    backend = Backend()
    backend.start("graph", threads=0)
    name, args = model_of(network)
    model = MODELS.build(name, {"scale": 2}, **args)
    initialise(model, kaiming_uniform(), seed=1)
    optimizer = build_optimizer("adam", list(model.trainable_params()), 1e-4)
    update = TrainStep(fast_twin(model, "f43", backend.threads)[0] if fast else model, L1(), optimizer)
    lq, gt = (ms.Tensor(array) for array in constant_batch(network))
    return lambda: float(update(lq, gt))


def model_of(network: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of a model of srtrain, and its arguments."""
    if "blocks" in network:
        return "esrn", {"blocks": network["blocks"]} if network["blocks"] else {}
    return "edsr", {"n_resblocks": network["n_resblocks"], "n_feats": network["n_feats"]}


def constant_batch(network: dict[str, Any]) -> tuple[Any, Any]:
    """Return float32 NCHW noise in [0, 255], the same in every worker."""
    import numpy as np

    generator = np.random.default_rng(0)
    px, batch = network["lq_px"], network["batch"]
    return (
        generator.random((batch, 3, px, px), np.float32) * 255,
        generator.random((batch, 3, 2 * px, 2 * px), np.float32) * 255,
    )


def work_loop(network: dict[str, Any], kernels: str) -> None:
    """Train with the trainer; a hook waits at the end of each turn for the next ``go``."""
    from srtrain.build.check import check_names
    from srtrain.build.parts import build_backend
    from srtrain.build.trainer import build_trainer
    from srtrain.hooks import HOOKS, LAST, Hook
    from srtrain.recipe import Benchmark, Data, Recipe, Spec, Train, standard_hooks
    from srtrain.trainer.log import Log
    from srtrain.trainer.run_folder import RunFolder

    class Turns(Hook):
        """Reports the time of each turn, including everything between two steps."""

        order = LAST
        first = 0.0
        started = 0.0

        def after_step(self, trainer: Any, out: Any) -> None:
            """Hold the loop between turns. The first two steps do not belong to a turn."""
            turn, rest = divmod(trainer.step - 2, network["steps"])
            if turn < 0 or rest:
                return
            if turn == 0:
                say(json.dumps({"first_step_seconds": self.first, "peak_gb": peak_gb()}))
            else:
                float(out.loss)
                say(str(time.perf_counter() - self.started))
            sys.stdin.readline()
            self.started = time.perf_counter()

        def before_step(self, trainer: Any, batch: Any) -> None:
            """Record when the first step is done."""
            if trainer.step == 1:
                self.first = time.perf_counter() - process_started

    process_started = time.perf_counter()
    HOOKS.register("turns")(Turns)
    name, arguments = model_of(network)
    recipe = Recipe(
        name="benchmark",
        scale=2,
        model=Spec(name, **arguments),
        data=Data(train=Spec("embedded"), gt_patch_px=2 * network["lq_px"], batch_size=network["batch"]),
        train=Train(steps=100_000, log_every=10),
        benchmarks={"chelsea": Benchmark(Spec("embedded", names=("chelsea",)))},
        device=Spec("cpu", kernels=kernels),
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=50_000),
            evaluate=Spec("evaluate", every=50_000),
            turns=Spec("turns"),
        ),
    )
    with tempfile.TemporaryDirectory() as place:
        check_names(recipe)
        folder = RunFolder(Path(place) / "run")
        folder.open(resume=False, overwrite=False)
        backend = build_backend(recipe)
        build_trainer(recipe, folder.path, backend, Log(folder.path / "run.log")).train()


def torch_step(network: dict[str, Any], channels_last: bool) -> Callable[[], float]:
    """Return a function that makes the same update in PyTorch: same network, loss and optimizer, eager, all cores."""
    import torch
    from torch import nn
    from torch.nn import functional

    def conv(n_in: int, n_out: int) -> nn.Conv2d:
        return nn.Conv2d(n_in, n_out, 3, padding=1)

    class Residual(nn.Module):
        def __init__(self, n_feats: int) -> None:
            super().__init__()
            self.body = nn.Sequential(conv(n_feats, n_feats), nn.ReLU(inplace=True), conv(n_feats, n_feats))

        def forward(self, x: Any) -> Any:
            return x + self.body(x)

    class Network(nn.Module):
        def __init__(self, n_feats: int, n_resblocks: int) -> None:
            super().__init__()
            mean = torch.tensor([0.4488, 0.4371, 0.4040]).reshape(1, 3, 1, 1) * 255
            self.register_buffer("mean", mean)
            self.head = conv(3, n_feats)
            self.body = nn.Sequential(
                *(Residual(n_feats) for _ in range(n_resblocks)), conv(n_feats, n_feats)
            )
            self.tail = nn.Sequential(conv(n_feats, 4 * n_feats), nn.PixelShuffle(2), conv(n_feats, 3))

        def forward(self, lq: Any) -> Any:
            x = self.head(lq - self.mean)
            return self.tail(x + self.body(x)) + self.mean

    torch.set_num_threads(os.cpu_count() or 1)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    if "blocks" in network:
        from torch_esrn import ESRN

        from srtrain.models.esrn import EXAMPLE

        model: nn.Module = ESRN(network["blocks"] or EXAMPLE)
    else:
        model = Network(network["n_feats"], network["n_resblocks"])
    model = model.to(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    lq, gt = (torch.from_numpy(array).to(memory_format=layout) for array in constant_batch(network))

    def step() -> float:
        optimizer.zero_grad()
        loss = functional.l1_loss(model(lq), gt)
        loss.backward()
        optimizer.step()
        return float(loss)

    return step


def peak_gb() -> float:
    """Return the peak resident memory of this process in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def cpu_name() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


if __name__ == "__main__":
    sys.exit(main())
