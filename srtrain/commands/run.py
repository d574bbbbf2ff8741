"""``srtrain run RECIPE``: train a recipe. The order of a run, readable from top to bottom."""

from __future__ import annotations

import argparse
import dataclasses
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from srtrain import plugins
from srtrain.device.interrupt import InterruptWatch
from srtrain.recipe import Recipe
from srtrain.recipe.load import load_recipe
from srtrain.recipe.override import override
from srtrain.recipe.text import to_text
from srtrain.trainer.run_folder import RunFolder, changes_on_resume

if TYPE_CHECKING:
    from srtrain.device.backend import Backend
    from srtrain.trainer.hook import Hook
    from srtrain.trainer.trainer import Trainer

EXAMPLES = """\
examples:
  srtrain run recipes/quickstart.py
  srtrain run recipes/edsr_x3_finetune.py data.root=DIV2K init_from=runs/edsr_x2
  srtrain run recipes/quickstart.py optim.lr=1e-3 hooks.evaluate.every=200 hooks.ema=ema
  srtrain run recipes/quickstart.py --resume
  srtrain run recipes/edsr_zoo_x2.py --smoke
  srtrain run recipes/quickstart.py --plugin my_hook.py hooks.mine=my_hook
"""


HELP = "train a recipe"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recipe, its overrides, and how to start."""
    parser.add_argument("recipe", metavar="RECIPE", help="a .py recipe, or a run folder to resume")
    parser.add_argument(
        "overrides", metavar="key=value", nargs="*", help="changes to the recipe, such as optim.lr=2e-4"
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="auto|PATH",
        help="go on from the newest checkpoint of the run folder (auto), or from this checkpoint",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="delete what an earlier run left in the run folder"
    )
    parser.add_argument(
        "--smoke", action="store_true", help="run the recipe's one-minute twin on a CPU: small, but all of it"
    )
    parser.add_argument("--print-config", action="store_true", help="print the resolved recipe and stop")
    parser.add_argument("--print-hooks", action="store_true", help="print which hook runs when and stop")
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="NAME", help="plugin, module or .py file; repeatable"
    )
    parser.add_argument("--device", metavar="NAME", help="backend, such as cpu; the same as device=NAME")


def run(args: argparse.Namespace) -> int:
    """Train; return the exit code."""
    with InterruptWatch():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    original, recipe = read_recipe(args)
    from srtrain.build.around import around_run
    from srtrain.build.check import check_names
    from srtrain.build.parts import build_backend

    check_names(recipe)
    if args.print_config:
        print(to_text(recipe, original))
        return 0
    if args.print_hooks:
        return print_hooks(recipe)

    with around_run(recipe, resume=args.resume is not None, overwrite=args.overwrite) as (recipe, hooks):
        backend = build_backend(recipe)
        folder = RunFolder(Path(recipe.run_dir or Path("runs") / recipe.name))
        try:
            if backend.rank == 0:
                folder.open(resume=args.resume is not None, overwrite=args.overwrite)
            backend.barrier()
            return _train(args, recipe, folder, backend, hooks)
        finally:
            folder.close()
            backend.close()


def recipe_asked_for(args: argparse.Namespace) -> tuple[Recipe, Recipe]:
    """Return the recipe as its file says it, and as the command line changes it; no plugin is needed for that.

    Raises:
        RecipeError: all mistakes in the overrides together.
    """
    original = load_recipe(args.recipe, "smoke" if getattr(args, "smoke", False) else "recipe")
    overrides = [*args.overrides, *([f"device={args.device}"] if args.device else [])]
    return original, override(original, overrides)


def read_recipe(args: argparse.Namespace) -> tuple[Recipe, Recipe]:
    """Do the same, and activate the plugins."""
    original, recipe = recipe_asked_for(args)
    names = dict.fromkeys([*recipe.plugins, *args.plugin])
    active = tuple(plugins.activate(name, beside=Path(args.recipe).parent) for name in names)
    return original, dataclasses.replace(recipe, plugins=active)


def print_hooks(recipe: Recipe) -> int:
    """Print the plan of the hooks as a tree."""
    from srtrain.build.check import planned_hooks
    from srtrain.trainer.hook import plan_text

    print(plan_text(planned_hooks(recipe)))
    return 0


def _train(
    args: argparse.Namespace, recipe: Recipe, folder: RunFolder, backend: Backend, hooks: dict[str, Hook]
) -> int:
    from srtrain.build.trainer import build_trainer
    from srtrain.trainer.log import Log

    earlier = folder.earlier_recipe() if args.resume else None
    changes = changes_on_resume(earlier, recipe) if earlier else {}
    log = Log(folder.path / log_name(backend.rank), to_console=backend.rank == 0)
    try:
        for key, (before, now) in changes.items():
            log.info(f"changed since the run began: {key} = {now!r} (was {before!r})")
        trainer = build_trainer(recipe, folder.path, backend, log, hooks)
        checkpoint = find_resume(args.resume, trainer)
        if backend.rank == 0:
            folder.record(recipe, Path(args.recipe))
        trainer.train(resume=checkpoint)
        return EXIT_CODES.get(trainer.stop_reason, 0)
    finally:
        log.close()


def log_name(rank: int) -> str:
    """Return the name of a rank's log file."""
    return "run.log" if rank == 0 else f"run.rank{rank}.log"


def find_resume(asked: str | None, trainer: Trainer) -> Path | None:
    """Return the checkpoint to resume from, or ``None`` to start at step 0.

    Raises:
        CheckpointError: a path was given and there is no checkpoint.
    """
    from srtrain.hooks.checkpoint import CheckpointHook

    if asked is None:
        return None
    if asked == "auto":
        latest = trainer.store.latest()
        if latest is None and any(isinstance(hook, CheckpointHook) for hook in trainer.hooks):
            trainer.log.info(f"there is no checkpoint in {trainer.store.folder} yet: starting at step 0")
        return latest
    from srtrain.trainer.checkpoint import find_checkpoint

    return find_checkpoint(Path(asked).expanduser(), newest=True)


EXIT_CODES = {"SIGINT": 128 + signal.SIGINT, "SIGTERM": 128 + signal.SIGTERM}
