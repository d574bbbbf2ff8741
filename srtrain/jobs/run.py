"""Train a recipe. This is the order of a run, from top to bottom."""

from __future__ import annotations

import argparse
import dataclasses
import signal
from pathlib import Path

from srtrain.build.around import around_run
from srtrain.build.check import check_run, planned_hooks
from srtrain.build.kernels import kernels_of
from srtrain.build.parts import build_backend
from srtrain.build.trainer import build_trainer
from srtrain.consent import remember
from srtrain.device import BACKENDS
from srtrain.device.backend import Backend
from srtrain.recipe import Recipe
from srtrain.recipe.places import anchored, found_again
from srtrain.recipe.text import differences, refuse_masked, to_text
from srtrain.trainer.checkpoint import find_checkpoint
from srtrain.trainer.hook import Hook, plan_text
from srtrain.trainer.log import Log
from srtrain.trainer.run_folder import RunFolder, changes_on_resume
from srtrain.trainer.trainer import Trainer

EXIT_CODES = {"SIGINT": 128 + signal.SIGINT, "SIGTERM": 128 + signal.SIGTERM}


def run(args: argparse.Namespace) -> int:
    """Train, or print what would be trained; return the exit code."""
    recipe = dataclasses.replace(args.resolved, plugins=tuple(args.plugin))
    check_run(recipe, args.original, Path(args.recipe))
    if args.print_config:
        print(to_text(recipe, args.original))
        print(
            f"# kernels on this machine: {kernels_of(BACKENDS.build(recipe.device.name, **recipe.device.args))}"
        )
        return 0
    if args.print_hooks:
        print(plan_text(planned_hooks(recipe)))
        return 0
    return train(recipe, Path(args.recipe), args.resume, args.overwrite)


def train(recipe: Recipe, source: Path, resume: str | None, overwrite: bool) -> int:
    """Train a recipe in its run folder; return the exit code.

    Args:
        recipe: what to train.
        source: file that the recipe was read from, which the run folder keeps a copy of.
        resume: ``auto`` or a checkpoint to continue from; ``None`` starts at step 0.
        overwrite: whether to delete an earlier run in the run folder.
    """
    refuse_masked(recipe)
    with around_run(recipe, resume=resume is not None, overwrite=overwrite) as prepared:
        recipe, hooks = anchored(prepared.recipe), prepared.hooks
        resume = resume if prepared.resume else None
        backend = build_backend(recipe)
        folder = RunFolder(recipe.folder)
        try:
            if backend.rank == 0:
                folder.open(resume=resume is not None, overwrite=overwrite, fork=resume not in (None, "auto"))
            backend.barrier()
            return _train(recipe, source, resume, folder, backend, hooks)
        finally:
            folder.close()
            backend.close()


def _train(
    recipe: Recipe,
    source: Path,
    resume: str | None,
    folder: RunFolder,
    backend: Backend,
    hooks: dict[str, Hook],
) -> int:
    earlier = folder.earlier_recipe() if resume else None
    if earlier is not None:
        changes_on_resume(found_again(earlier, folder.path), recipe)  # refuses some
    changes = differences(earlier, recipe) if earlier else {}
    log = Log(folder.path / log_name(backend.rank), to_console=backend.rank == 0, later=True)
    try:
        for key, (before, now) in changes.items():
            log.info(f"changed since the run began: {key} = {now!r} (was {before!r})")
        folder.environment["kernels"] = kernels_of(backend)
        known = folder.earlier_environment() if resume else {}
        for key, now in folder.environment.items():
            if known.get(key, now) != now:
                log.info(
                    f"changed since the run began: {key} {now} (was {known[key]}); the last bits may differ"
                )
        trainer = build_trainer(recipe, folder.path, backend, log, hooks)
        checkpoint = find_resume(resume, trainer)

        def accept() -> None:
            backend.barrier()  # no rank refuses
            if backend.rank == 0:
                folder.accept(recipe, source)
            backend.barrier()
            log.begin_file()
            if reason := remember(recipe.plugins, folder.path):
                log.warning(
                    f"--resume will ask for --plugin again, because consent cannot be stored: {reason}"
                )

        try:
            trainer.train(resume=checkpoint, accept=accept)
        except OSError:
            folder.check_present()  # raises the error that tells why
            raise
        folder.check_present()
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
    if asked is None:
        return None
    if asked == "auto":
        latest = trainer.store.latest()
        if latest is None:
            trainer.log.info(f"there is no checkpoint in {trainer.store.folder} yet: starting at step 0")
        return latest
    return find_checkpoint(Path(asked).expanduser(), newest=True)
