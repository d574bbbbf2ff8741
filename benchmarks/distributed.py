"""Measure what averaging gradients and barriers cost, and compare two processes of one thread with one of two.

    python benchmarks/distributed.py

The launcher runs real training with the same global batch, in turns: one process with two threads, and two processes
with one thread each. A ratio is the median of the ratios of each turn. A hook in this file times the steps. After a
run of two processes it also times the reduction of the gradients and the barrier alone. The benchmark prints a table
and, as its last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from srtrain.hooks import HOOKS, LAST, Hook
from srtrain.launch.cluster import Plan, free_port, started
from srtrain.launch.supervise import Supervisor

NETWORKS = {
    "baseline": {"n_resblocks": 16, "n_feats": 64, "lq_px": 48, "batch": 8, "steps": 6},
    "small": {"n_resblocks": 4, "n_feats": 32, "lq_px": 24, "batch": 8, "steps": 60},
}
WARM_UP = 2  # steps; the first one includes compilation
REPEATS = 30

RECIPE = """
from srtrain.recipe import Data, Recipe, Spec, Train, standard_hooks

def recipe():
    return Recipe(
        name="benchmark",
        scale=2,
        model=Spec("edsr", n_resblocks={n_resblocks}, n_feats={n_feats}),
        data=Data(train=Spec("embedded"), gt_patch_px=2 * {lq_px}, batch_size={batch}),
        train=Train(steps={steps} + {warm_up}, log_every=10),
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=1_000_000),
            evaluate=None, pictures=None, tensorboard=None, measure=Spec("measure"),
        ),
        plugins=({this!r},),
    )
"""


@HOOKS.register("measure")
class Measure(Hook):
    """Times the steps after the warm-up, then the communication between processes."""

    order = LAST

    def after_step(self, trainer: Any, out: Any) -> None:
        """Start and stop the clock, after the device has finished its work."""
        if trainer.step == WARM_UP:
            float(out.loss)
            self._started = time.perf_counter()
        elif trainer.finished:
            float(out.loss)
            self._seconds = time.perf_counter() - self._started

    def after_train(self, trainer: Any) -> None:
        """Write the measured times to a file."""
        backend = trainer.backend
        measured = {"step_ms": 1e3 * self._seconds / (trainer.max_steps - WARM_UP)}
        if backend.world_size > 1:
            measured["barrier_ms"] = milliseconds(backend.barrier)
            measured["reduce_ms"] = milliseconds(reduction(trainer))
        if backend.rank == 0:
            trainer.run_dir.with_suffix(".json").write_text(json.dumps(measured))


def milliseconds(act: Callable[[], object]) -> float:
    """Return the median time of a call, after one call that does not count."""
    act()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)


def reduction(trainer: Any) -> Callable[[], object]:
    """Return a compiled average of gradients as large as those of the network, as in the update."""
    import mindspore as ms
    from mindspore import nn

    class Alone(nn.Cell):
        """Only reduce; the sum of the last gradient waits for the end."""

        def __init__(self, reducer: nn.Cell) -> None:
            super().__init__(auto_prefix=False)
            self.reducer = reducer

        def construct(self, loss: ms.Tensor, gradients: tuple[ms.Tensor, ...]) -> Any:
            return self.reducer(loss, gradients, loss)

    parameters = list(trainer.model.trainable_params())
    gradients = tuple(ms.Tensor(parameter.asnumpy()) for parameter in parameters)
    cell = Alone(trainer.backend.gradient_reducer(parameters))

    def once() -> object:
        _, means, _ = cell(ms.Tensor(1.0), gradients)
        return [mean.asnumpy() for mean in means[-1:]]

    return once


def run(network: dict[str, int], n_processes: int, place: Path) -> dict[str, float]:
    """Train once; return the times that the hook measured."""
    recipe = place / "recipe.py"
    recipe.write_text(RECIPE.format(**network, warm_up=WARM_UP, this=str(Path(__file__).resolve())))
    run_dir = place / f"{n_processes}"
    words = ["run", str(recipe), f"run_dir={run_dir}", "--overwrite", f"train.threads={2 // n_processes}"]
    plan = Plan(n_processes, place / "logs", port=free_port())
    with (
        started(plan, words) as job,
        Supervisor(job, lambda text: print(text, file=sys.stderr), sys.stderr) as all_ranks,
    ):
        if code := all_ranks.wait():
            sys.exit(code)
    measured: dict[str, float] = json.loads(run_dir.with_suffix(".json").read_text())
    return measured


def compare(name: str, rounds: int) -> dict[str, float]:
    """Run one and two processes in turns; print a table; return the numbers."""
    network = NETWORKS[name]
    one, two = [], []
    with tempfile.TemporaryDirectory() as place:
        for _ in range(rounds):
            one.append(run(network, 1, Path(place)))
            two.append(run(network, 2, Path(place)))
    ratio = statistics.median(a["step_ms"] / b["step_ms"] for a, b in zip(one, two, strict=True))
    numbers = {
        "two_over_one": ratio,
        "one_process_ms": statistics.median(m["step_ms"] for m in one),
        "two_processes_ms": statistics.median(m["step_ms"] for m in two),
        "reduce_ms": statistics.median(m["reduce_ms"] for m in two),
        "barrier_ms": statistics.median(m["barrier_ms"] for m in two),
    }
    share = numbers["reduce_ms"] / numbers["two_processes_ms"]
    print(f"\n{name}: EDSR x2, {network}, {rounds} turns")
    print(f"one process, two threads       {numbers['one_process_ms']:9.1f} ms per step")
    print(
        f"two processes, a thread each   {numbers['two_processes_ms']:9.1f} ms per step: {ratio:.2f} times as fast"
    )
    print(f"averaging the gradients alone  {numbers['reduce_ms']:9.2f} ms, {share:.1%} of a step")
    print(f"barrier                        {numbers['barrier_ms']:9.2f} ms")
    return {f"{name}_{key}": round(value, 3) for key, value in {**numbers, "reduce_share": share}.items()}


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3, help="number of turns")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    args = parser.parse_args()
    results: dict[str, float] = {}
    for name in args.networks:
        results.update(compare(name, args.rounds))
    print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
