"""The hook ``modelarts``, and the work around a run that belongs to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from srtrain.errors import HookError, RunFolderError
from srtrain.hooks import HOOKS, LAST, Hook
from srtrain.recipe import Recipe
from srtrain.trainer.trainer import Trainer

from .mirror import RunMirror, Uploader
from .options import Options
from .prepare import fetch_data, fetch_weights
from .store import StoreError, StoreRefusalError, open_store
from .transfer import one_at_a_time, print_line


@HOOKS.register("modelarts")
class ModelArtsHook(Hook):
    """Keeps a copy of the run in an object store while it goes on; only rank 0 uploads.

    Args:
        enable_modelarts: whether anything of this happens; the same recipe runs elsewhere without.
        data_url: where the data lie in the store.
        train_url: where results go if ``checkpoint_url`` is not given; ModelArts passes its output path so.
        checkpoint_url: where results go, in a folder named like the run folder.
        need_unzip_in_modelarts: unpack zip files after downloading.
        need_unzip_files: which, relative to ``data_url``; all if none are named.
        data_path: folder of this machine for the data; it becomes ``data.root`` unless the recipe has one.
        output_path: folder of this machine for run folders, unless the recipe has a ``run_dir``.
    """

    order = LAST  # what is uploaded is then written

    def __init__(
        self,
        enable_modelarts: bool = False,
        data_url: str = "",
        train_url: str = "",
        checkpoint_url: str = "",
        need_unzip_in_modelarts: bool = False,
        need_unzip_files: tuple[str, ...] = (),
        data_path: str = "/cache/data",
        output_path: str = "/cache/train",
    ) -> None:
        self.options = Options(
            enable_modelarts,
            data_url,
            train_url,
            checkpoint_url,
            need_unzip_in_modelarts,
            need_unzip_files,
            data_path,
            output_path,
        )

    def setup(self, trainer: Trainer) -> None:
        """Start to upload; this fails here rather than after the training."""
        if self.options.enable_modelarts and self.options.results[1] and trainer.backend.rank == 0:
            _copy_of(trainer).start(trainer)

    def after_save(self, trainer: Trainer, path: Path) -> None:
        """Have the checkpoint uploaded, without waiting for it."""
        if (copy := _COPIES.get(trainer.run_dir.resolve())) is not None:
            copy.wake()

    def close(self, trainer: Trainer) -> None:
        """Speak to the console from now on: the log is about to be closed, and then uploaded."""
        if (copy := _COPIES.get(trainer.run_dir.resolve())) is not None:
            copy.mirror.say = print_line


class RunCopy:
    """The copy of one run in a store, from before the run is built until after it has ended."""

    def __init__(self, mirror: RunMirror, clear: bool) -> None:
        self.mirror = mirror
        self._clear = clear
        self._uploader: Uploader | None = None

    def start(self, trainer: Trainer) -> None:
        """Upload what the run says about itself, which shows that the store can be written; then go on behind.

        Raises:
            StoreError, StoreRefusalError: the store cannot be written.
        """
        self.mirror.say = trainer.log.info
        self.mirror.look()
        if self._clear:
            self.mirror.clear()
        self.mirror.upload_records()
        self._uploader = Uploader(self.mirror)
        self._uploader.start()
        trainer.log.info(f"this run is copied to {self.mirror.store.url}")

    def wake(self) -> None:
        """Have what is new uploaded."""
        if self._uploader is not None:
            self._uploader.wake()

    def finish(self) -> None:
        """Upload what is left.

        Raises:
            StoreError: something could not be uploaded; names it, and what to do.
        """
        if self._uploader is None:  # another rank's work, or the run never began
            return
        mirror = self.mirror
        try:
            self._uploader.finish()
        except (StoreError, StoreRefusalError) as error:
            left = mirror.pending()
            shown = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
            raise StoreError(
                f"the run has ended, but {len(left)} of its files are not in the store: {shown}. {error}. Nothing is "
                f"lost while {str(mirror.folder)!r} is there: mend the cause and give the same command with --resume, "
                f"which repeats no update and uploads them; or copy the folder to {mirror.store.url} by hand."
            ) from error
        print_line(f"everything in {mirror.folder} is in {mirror.store.url}")


_COPIES: dict[Path, RunCopy] = {}
"""By run folder, so that the hook, which the trainer builds, finds what ``around_run`` has opened."""


def _copy_of(trainer: Trainer) -> RunCopy:
    copy = _COPIES.get(trainer.run_dir.resolve())
    if copy is None:
        raise HookError(
            "the hook 'modelarts' works together with its plugin: add plugins=('modelarts',) to the recipe, or "
            "--plugin modelarts, and start it with srtrain run."
        )
    return copy


@contextlib.contextmanager
def around_run(recipe: Recipe, *, resume: bool, overwrite: bool) -> Iterator[Recipe]:
    """Fetch data, weights and an earlier state of the run; afterwards upload what is left of it.

    Raises:
        RunFolderError: the store holds a run of this name already.
        StoreError: the store fails; after a run, that something could not be uploaded.
        UserError: an address, a file in the store, or credentials that are wrong.
    """
    options = options_of(recipe)
    if options is None or not options.enable_modelarts:
        yield recipe
        return
    recipe = options.place(recipe)
    run_dir = Path(recipe.run_dir)
    with one_at_a_time(Path(options.output_path) / ".modelarts.lock", print_line):
        fetch_data(options, print_line)
        recipe = fetch_weights(recipe, options, print_line)
        copy = _open_copy(options, run_dir, resume=resume, overwrite=overwrite)
    if copy is None:
        print_line(f"warning: neither checkpoint_url nor train_url is given: the results stay in {run_dir}")
        yield recipe
        return
    _COPIES[run_dir.resolve()] = copy
    try:
        yield recipe
    except BaseException:
        try:
            copy.finish()
        except StoreError as error:  # the run's own error is the one to end with
            print_line(f"error: {error}")
        raise
    finally:
        del _COPIES[run_dir.resolve()]
    copy.finish()


def options_of(recipe: Recipe) -> Options | None:
    """Return the options of the recipe's hook ``modelarts``, whatever its key is; ``None`` where it has none."""
    specs = [spec for spec in recipe.hooks.values() if spec is not None and spec.name == "modelarts"]
    hook: ModelArtsHook | None = HOOKS.build("modelarts", **specs[0].args) if specs else None
    return hook.options if hook else None


def _open_copy(options: Options, run_dir: Path, *, resume: bool, overwrite: bool) -> RunCopy | None:
    key, url = options.results
    if not url:
        return None
    mirror = RunMirror(run_dir, open_store(f"{url}/{run_dir.name}", key), print_line)
    if resume:
        restored = mirror.restore()
        if restored:
            print_line(f"restored {run_dir} up to {restored} from {mirror.store.url}")
    elif not overwrite and (there := mirror.look()):
        raise RunFolderError(
            f"{key}: {mirror.store.url} holds a run already ({len(there)} files). Use --resume to go on with that run, "
            f"--overwrite to delete it, or name=ANOTHER."
        )
    return RunCopy(mirror, clear=overwrite)
