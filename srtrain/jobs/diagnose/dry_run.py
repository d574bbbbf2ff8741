"""Compile a recipe for an Ascend card that this machine does not have, with MindSpore's simulation."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

from srtrain.files import python_program
from srtrain.hooks import HOOKS
from srtrain.jobs.diagnose.doctor import cann_version, check_cann, check_packages, check_python
from srtrain.jobs.diagnose.machine import OK, PROBLEM
from srtrain.recipe import Recipe
from srtrain.recipe.load import load_recipe

LEVELS = {
    "0": "the graphs were compiled",
    "1": "the graphs and operators were compiled, and memory was summed",
}


def run(args: argparse.Namespace) -> int:
    """Compile two updates where CANN is installed, and otherwise say what is missing; return the exit code."""
    toolkit = cann_version()
    problems = [
        f for check in (check_python(), check_packages(), check_cann(toolkit)) for f in check if f.level != OK
    ]
    for finding in problems:
        print(f"{finding.level:<9}{finding.name:<15}{finding.says}\n{'':<24}→ {finding.todo}")
    if any(finding.level == PROBLEM for finding in problems):
        print(
            f"{args.dry_run} was not compiled: MindSpore's simulation (MS_SIMULATION_LEVEL) needs no card, but it "
            f"needs the CANN toolkit.",
            file=sys.stderr,
        )
        return 1
    return compile_updates(args.dry_run)


def compile_updates(recipe: str) -> int:
    """Run two simulated updates of a recipe in a process of its own; return the exit code."""
    level = os.environ.get("MS_SIMULATION_LEVEL", "1")
    with tempfile.TemporaryDirectory(prefix="srtrain-dry-run-") as folder:
        words = ["run", recipe, "--plugin", "ascend", f"run_dir={folder}/run", *changes(load_recipe(recipe))]
        environment = {"RANK_SIZE": "1", "RANK_ID": "0", **os.environ, "MS_SIMULATION_LEVEL": level}
        command = [*python_program("srtrain"), *words]
        code = subprocess.run(command, env=environment, check=False).returncode
    if code == 0:
        print(
            f"{recipe}: {LEVELS.get(level, 'simulated')} (MS_SIMULATION_LEVEL={level}). Its numbers mean nothing."
        )
    return code


def changes(recipe: Recipe) -> list[str]:
    """Return the overrides for two updates on a card, on the pictures of the package and without evaluation."""
    hooks = [name for name, spec in recipe.hooks.items() if spec is not None and _needs_pictures(spec.name)]
    return [
        *("device=ascend", "train.steps=2", "train.epochs=None", "train.log_every=1", "train.sink_steps=1"),
        *("data.train=embedded", "data.cache=memory", "init_from="),
        *(f"hooks.{name}=None" for name in hooks),
        *(f"benchmarks.{name}=None" for name in recipe.benchmarks),
    ]


def _needs_pictures(hook: str) -> bool:
    return hook in ("require_gain", "pictures") or (hook in HOOKS and "evaluator" in HOOKS.from_run(hook))
