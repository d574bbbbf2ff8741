"""The hook ``modelarts``, and the work around a run that belongs to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from srtrain.errors import HookError, RunFolderError
from srtrain.hooks import HOOKS, LAST, Hook
from srtrain.recipe import Recipe
from srtrain.trainer.api import TrainerApi

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
        self.copy: RunCopy | None = None  # around_run sets it

    def setup(self, trainer: TrainerApi) -> None:
        """Start to upload, so that a store that cannot be written is found before the training.

        Raises:
            HookError: the plugin's ``around_run`` was not called.
            StoreError, StoreRefusalError: the store cannot be written.
        """
        if not (self.options.enable_modelarts and self.options.results[1] and trainer.backend.rank == 0):
            return
        if self.copy is None:
            raise HookError(
                "the hook 'modelarts' works together with its plugin: add plugins=('modelarts',) to the recipe, or "
                "--plugin modelarts, and start it with srtrain run."
            )
        self.copy.start(trainer)

    def after_save(self, trainer: TrainerApi, path: Path) -> None:
        """Ask for an upload of the checkpoint, without waiting for it."""
        if self.copy is not None:
            self.copy.wake()

    def close(self, trainer: TrainerApi) -> None:
        """Print to the console from now on: the log file is about to be closed, and then uploaded."""
        if self.copy is not None:
            self.copy.mirror.say = print_line


class RunCopy:
    """The copy of one run in a store, from before the run is built until after it has ended."""

    def __init__(self, mirror: RunMirror, clear: bool) -> None:
        self.mirror = mirror
        self._clear = clear
        self._uploader: Uploader | None = None

    def start(self, trainer: TrainerApi) -> None:
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


@contextlib.contextmanager
def around_run(
    recipe: Recipe, *, resume: bool, overwrite: bool
) -> Iterator[Recipe | tuple[Recipe, dict[str, Hook]]]:
    """Fetch data, weights and an earlier state of the run; after the run, upload the files that are left.

    Yields:
        The recipe with the folders of this machine, and the hook, which knows the copy of the run in the store.

    Raises:
        RunFolderError: the store holds a run of this name already.
        StoreError: the store fails; after a run, that something could not be uploaded.
        UserError: an address, a file in the store, or credentials that are wrong.
    """
    key, hook = hook_of(recipe)
    if hook is None or not hook.options.enable_modelarts:
        yield recipe
        return
    options = hook.options
    recipe = options.place(recipe)
    run_dir = Path(recipe.run_dir)
    with one_at_a_time(Path(options.output_path) / ".modelarts.lock", print_line):
        fetch_data(options, print_line)
        recipe = fetch_weights(recipe, options, print_line)
        hook.copy = _open_copy(options, run_dir, resume=resume, overwrite=overwrite)
    if hook.copy is None:
        print_line(f"warning: neither checkpoint_url nor train_url is given: the results stay in {run_dir}")
        yield recipe
        return
    try:
        yield recipe, {key: hook}
    except BaseException:
        try:
            hook.copy.finish()
        except StoreError as error:  # the run ends with its own error
            print_line(f"error: {error}")
        raise
    hook.copy.finish()


def hook_of(recipe: Recipe) -> tuple[str, ModelArtsHook | None]:
    """Return the recipe's hook ``modelarts`` and its key, which may be any; ``None`` if it has none."""
    for key, spec in recipe.hooks.items():
        if spec is not None and spec.name == "modelarts":
            return key, HOOKS.build("modelarts", **spec.args)
    return "", None


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
