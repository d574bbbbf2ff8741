"""The hook ``modelarts``, and the work before and after a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from srtrain.errors import HookError, RunFolderError, counted
from srtrain.hooks import HOOKS, LAST, Hook
from srtrain.recipe import Recipe
from srtrain.trainer.api import TrainerApi
from srtrain.trainer.owned import is_recorded

from .mirror import RunMirror, Uploader
from .options import Options
from .prepare import fetch_data, fetch_weights
from .store import StoreError, StoreRefusalError, open_store
from .transfer import one_at_a_time, print_line


@HOOKS.register("modelarts")
class ModelArtsHook(Hook):
    """Keeps a copy of the run in an object store during the run; only rank 0 uploads.

    Args:
        enable_modelarts: switches the plugin on; without it, the same recipe runs on any machine.
        data_url: address of the data in the store.
        train_url: address for results if ``checkpoint_url`` is empty; ModelArts passes its output path under this name.
        checkpoint_url: address for results; they go into a folder there with the name of the run folder.
        need_unzip_in_modelarts: unpack zip files after the download.
        need_unzip_files: the zip files to unpack, relative to ``data_url``; all if empty.
        data_path: local folder for the data; it becomes ``data.root`` unless the recipe sets one.
        output_path: local folder for run folders, unless the recipe sets ``run_dir``.
    """

    order = LAST  # other hooks have then written their files

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
        """Check that the copy of the run is known.

        Raises:
            HookError: the plugin's ``around_run`` was not called.
        """
        if not (self.options.enable_modelarts and self.options.results[1] and trainer.backend.rank == 0):
            return
        if self.copy is None:
            raise HookError(
                "the hook 'modelarts' works together with its plugin: add plugins=('modelarts',) to the recipe, or "
                "--plugin modelarts, and start it with srtrain run."
            )

    def before_train(self, trainer: TrainerApi) -> None:
        """Start to upload, so that a store that cannot be written is found before the training.

        Raises:
            StoreError, StoreRefusalError: the store cannot be written.
        """
        if self.copy is not None and trainer.backend.rank == 0:
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
    """The copy of one run in a store. It exists from before the run is built until after the run has ended."""

    def __init__(self, mirror: RunMirror, clear: bool) -> None:
        self.mirror = mirror
        self._clear = clear
        self._uploader: Uploader | None = None

    def start(self, trainer: TrainerApi) -> None:
        """Upload the records of the run, which shows that the store can be written; then upload in the background.

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
        trainer.log.info(f"copying this run to {self.mirror.store.url}")

    def wake(self) -> None:
        """Ask for an upload of new files."""
        if self._uploader is not None:
            self._uploader.wake()

    def finish(self) -> None:
        """Upload the files that are left.

        Raises:
            StoreError: a file could not be uploaded; the message names files and says what to do.
        """
        if self._uploader is None:  # another rank uploads, or the run did not start
            return
        mirror = self.mirror
        try:
            self._uploader.finish()
        except (StoreError, StoreRefusalError) as error:
            left = mirror.pending()
            shown = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
            raise StoreError(
                f"the run has ended, but {len(left)} of its files are not in the store: {shown}. {error}. The files "
                f"are still in {str(mirror.folder)!r}. Correct the cause and repeat the command with --resume, which "
                f"uploads them and repeats no update; or copy the folder to {mirror.store.url} by hand."
            ) from error
        print_line(f"all files of {mirror.folder} are in {mirror.store.url}")


@contextlib.contextmanager
def around_run(
    recipe: Recipe, *, resume: bool, overwrite: bool
) -> Iterator[Recipe | tuple[Recipe, dict[str, Hook], bool]]:
    """Fetch data, weights and an earlier state of the run; after the run, upload the files that are left.

    Yields:
        The recipe with the folders of this machine, the hook, which knows the copy of the run in the store, and
        whether there is a run to resume, here or in the store.

    Raises:
        RunFolderError: the store already has a run of this name, or something that no run wrote.
        StoreError: the store failed; after a run: a file could not be uploaded.
        UserError: an address, a file in the store, or the credentials are wrong.
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
        print_line(
            f"warning: neither checkpoint_url nor train_url is set, so the results stay in {run_dir} on this machine"
        )
        yield recipe, {}, _has_run(run_dir, resume)
        return
    try:
        yield recipe, {key: hook}, _has_run(run_dir, resume)
    except BaseException:
        try:
            hook.copy.finish()
        except StoreError as error:  # the run ends with its own error
            print_line(f"error: {error}")
        raise
    hook.copy.finish()


def _has_run(run_dir: Path, resume: bool) -> bool:
    """Return whether there is a run to resume; say so if there is none, because a job may always have ``--resume``."""
    if resume and not is_recorded(run_dir):
        print_line(f"there is no run to resume in {run_dir} or in the store yet: starting at step 0")
        return False
    return True


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
    elif overwrite:
        mirror.check_clear()  # before anything else changes
    elif there := mirror.look():
        raise RunFolderError(
            f"{key}: {mirror.store.url} already contains a run ({counted(len(there), 'file')}). "
            f"Use --resume to continue it, --overwrite to delete it, or name=ANOTHER."
        )
    return RunCopy(mirror, clear=overwrite)
