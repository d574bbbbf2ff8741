"""Check everything that a device can get wrong, and write the results to one file that its owner can send."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import math
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from srtrain.build.check import check_names
from srtrain.errors import masked
from srtrain.files import python_program, unfinished, write_whole
from srtrain.jobs.diagnose.doctor import CHECKS
from srtrain.recipe.load import load_recipe
from srtrain.recipe.override import override
from srtrain.trainer.run_folder import environment

LIMIT = 0.005
"""Largest relative difference between a loss and that of the CPU. docs/certify.md says what it can tell apart."""

TIMEOUT = 3600
"""Seconds after which a process counts as hung. On an idle core, each takes less than a minute."""

ENGINES = ("mindir", "mindspore_lite")
"""Engines that run the exported MindIR file, if they are installed."""

CHANGES = (
    *("model.n_resblocks=2", "model.n_feats=16", "data.gt_patch_px=32", "data.batch_size=4"),
    *("train.log_every=5", "optim.schedule=constant", "optim.lr=5e-4"),
    *("hooks.require_gain=None", "hooks.evaluate=None", "hooks.pictures=None", "hooks.tensorboard=None"),
)
"""What makes a small network of the quickstart, whose losses can be compared update by update."""

Result = dict[str, Any]


def run(args: argparse.Namespace) -> int:
    """Run every part, each in processes of its own; the exit code is 1 if one failed."""
    with tempfile.TemporaryDirectory(prefix="srtrain-certify-") as name, unfinished(Path(name)):
        work = Work(args, Path(name))
        check_names(override(load_recipe(work.recipe), [*work.device_words, *CHANGES]))
        began = time.monotonic()
        found: dict[str, Any] = {
            "finished": False,
            "passed": False,
            "device": work.device_words,
            "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "versions": environment(),
            "findings": [dataclasses.asdict(finding) for check in CHECKS for finding in check()],
            "parts": {},
        }
        _write(args.to, found)  # a place that cannot be written to is reported now
        for part, function in PARTS.items():
            print(f"{part} …", flush=True)
            started = time.monotonic()
            result = function(work)
            found["parts"][part] = {**result, "seconds": round(time.monotonic() - started, 1)}
            found["seconds"] = round(time.monotonic() - began, 1)
            _write(args.to, found)  # a later part cannot lose the result of this one
            print(": ".join(filter(None, (part, result["result"], result.get("says")))), flush=True)
    passed = all(part["result"] != "failed" for part in found["parts"].values())
    _write(args.to, found | {"finished": True, "passed": passed})
    print(f"wrote {args.to}: {'passed' if passed else 'FAILED'}")
    return int(not passed)


def _write(file: Path, found: dict[str, Any]) -> None:
    write_whole(file, masked(json.dumps(found, indent=2, ensure_ascii=False)) + "\n")


class Work:
    """The folder of the run folders and files, and how to start srtrain on the device or on the CPU."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.folder = folder
        self.device = args.device
        self.steps = args.steps
        self.tests = args.tests
        self.device_words = [f"device={args.device}", *(f"device.{word}" for word in args.overrides)]
        self.plugins = [word for name in args.plugin for word in ("--plugin", name)]
        recipe = importlib.util.find_spec("srtrain_recipes.quickstart")
        self.recipe = str(recipe.origin) if recipe else ""

    def start(self, *words: str) -> tuple[bool, str]:
        """Run ``srtrain`` with ``words``; return whether it succeeded, and the end of its output."""
        return _output([*python_program("srtrain"), *words])

    def train(self, name: str, on: Sequence[str], *more: str) -> tuple[bool, str, dict[int, float]]:
        """Train the small network; return whether it succeeded, the end of the output, and the loss by step."""
        run_dir = self.folder / name
        words = [*self.plugins, *on, *CHANGES, f"train.steps={self.steps}", f"run_dir={run_dir}", *more]
        done, said = self.start("run", self.recipe, *words)
        file = run_dir / "metrics.jsonl"
        lines = map(json.loads, file.read_text(encoding="utf-8").splitlines()) if file.is_file() else []
        return done, said, {int(line["step"]): float(line["loss"]) for line in lines if "loss" in line}


def run_tests(work: Work) -> Result:
    """Run the tests that need the card."""
    if work.device == "cpu":
        return {"result": "skipped", "says": "the tests in tests/device need a card"}
    if not work.tests.is_dir():
        return {"result": "skipped", "says": f"there is no folder {str(work.tests)!r}; give --tests FOLDER"}
    if importlib.util.find_spec("pytest") is None:
        return {"result": "failed", "says": "pytest is missing: pip install 'srtrain[test]'"}
    words = ["-q", "-m", "ascend", "-p", "no:cacheprovider", str(work.tests)]
    done, said = _output([*python_program("pytest"), *words])
    last = _reason(said)
    # pytest also ends with 0 if it skips every test, which it does where MindSpore finds no card.
    return {"result": _word(done and " passed" in last), "says": last, "output": said}


def compare_training(work: Work) -> Result:
    """Train in float32 on the CPU and on the device, and compare the losses."""
    on_cpu, cpu_said, expected = work.train("cpu", ["device=cpu"])
    done, said, losses = work.train("device", work.device_words)
    if not (on_cpu and done):
        where, output = ("the device", said) if on_cpu else ("the CPU", cpu_said)
        return {
            "result": "failed",
            "says": f"the training on {where} failed: {_reason(output)}",
            "output": output,
        }
    differences = [abs(losses.get(step, math.inf) - loss) / loss for step, loss in expected.items()]
    largest = max(difference if math.isfinite(difference) else math.inf for difference in differences)
    return {
        "result": _word(largest <= LIMIT),
        "says": f"losses differ by at most {100 * largest:.3g} % from the CPU's (allowed: {100 * LIMIT:g} %)",
        "largest_relative_difference": largest if math.isfinite(largest) else None,
        "limit": LIMIT,
        "cpu": _curve(expected),
        "device": _curve(losses),
    }


def train_mixed(work: Work) -> Result:
    """Train at O3 in float16, and at O1 in bfloat16: the loss must fall."""
    curves, failed, outputs = {}, [], {}
    for name, more in {
        "O3": ["precision=O3"],
        "O1_bfloat16": ["precision=O1", "precision.dtype=bfloat16"],
    }.items():
        done, said, losses = work.train(name, work.device_words, "--plugin", "ascend", *more)
        curves[name] = _curve(losses)
        values = list(losses.values())
        if not done or len(values) < 2 or not values[-1] < values[0]:
            failed.append(f"{name}: {_reason(said) if not done else 'the loss did not fall'}")
            outputs[name] = said
    return {"result": _word(not failed), "says": "; ".join(failed), "losses": curves, "output": outputs}


def check_exports(work: Work) -> Result:
    """Export the network that the device trained, and run the MindIR file with every engine of this machine."""
    run_dir = str(work.folder / "device")
    differences, failed, outputs = {}, [], {}
    for suffix in ("mindir", "onnx"):
        done, said = work.start("export", run_dir, *work.plugins, "--to", str(work.folder / f"x.{suffix}"))
        found = re.search(r"largest difference from the checkpoint: (\S+)", said)
        differences[suffix] = float(found[1]) if found else None
        if not done:
            failed.append(f"{suffix}: {_reason(said)}")
            outputs[suffix] = said
    engines: dict[str, Result] = {}
    for engine in ENGINES:
        engines[engine] = _run_engine(work, engine, run_dir)
        if engines[engine]["result"] == "failed":
            failed.append(f"{engine}: {engines[engine]['says']}")
    return {
        "result": _word(not failed),
        "says": "; ".join(failed) or f"grey levels of difference: {differences}",
        "largest_difference": differences,
        "engines": engines,
        "output": outputs,
    }


def _run_engine(work: Work, engine: str, run_dir: str) -> Result:
    """Score the MindIR file with an engine, and compare its first picture with the checkpoint's."""
    if engine == "mindspore_lite" and importlib.util.find_spec(engine) is None:
        return {"result": "skipped", "says": f"{engine} is not installed"}
    words = [str(work.folder / "x.mindir"), "--engine", engine, "--sets", "embedded", "--against", run_dir]
    done, said = work.start("evaluate", *work.plugins, *words)
    found = re.search(r"differs from .*", said)
    return {
        "result": _word(done),
        "says": found[0] if done and found else _reason(said),
        "output": "" if done else said,
    }


PARTS: dict[str, Callable[[Work], Result]] = {
    "tests": run_tests,
    "training": compare_training,
    "mixed precision": train_mixed,
    "export": check_exports,
}


def _curve(losses: dict[int, float]) -> dict[int, float | None]:
    """Return losses for JSON, which has no infinities and no nan."""
    return {step: loss if math.isfinite(loss) else None for step, loss in losses.items()}


def _word(passed: bool) -> str:
    return "passed" if passed else "failed"


def _reason(said: str) -> str:
    """Return the line of an output that tells most: the first error of srtrain, or else the last line."""
    lines = said.strip().splitlines() or ["it printed nothing"]
    return next((line for line in lines if line.startswith("error: ")), lines[-1])


def _output(command: Sequence[str]) -> tuple[bool, str]:
    """Run a command; return whether it succeeded, and the end of everything that it printed."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        try:
            done = (
                subprocess.run(command, stdout=file, stderr=file, check=False, timeout=TIMEOUT).returncode
                == 0
            )
            end = ""
        except subprocess.TimeoutExpired:
            done, end = False, f"\nerror: no end after {TIMEOUT} s; the process was killed."
        file.seek(0)
        return done, file.read()[-4000:] + end
