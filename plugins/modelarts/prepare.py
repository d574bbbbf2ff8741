"""Before a run: fetch and unpack its data and its initial weights, once on each machine."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Sequence
from pathlib import Path

from srtrain.data.prepare.unpack import unpack
from srtrain.errors import DataError, counted, did_you_mean, listing
from srtrain.recipe import Recipe

from .options import KEY, Options
from .store import open_store
from .transfer import Say, fetch, persist


def fetch_data(options: Options, say: Say) -> None:
    """Download the files of ``data_url`` that ``data_path`` lacks or has with another size, and unpack zip files.

    Raises:
        DataError: the address has no files, or a zip file is missing or damaged.
        StoreError, StoreRefusalError: the store cannot be read.
    """
    folder = Path(options.data_path)
    if options.data_url:
        store = open_store(options.data_url, f"{KEY}.data_url")
        sizes = persist(store.files, say)
        if not sizes:
            raise DataError(
                f"{KEY}.data_url = {options.data_url!r} has no files. Check the path in the bucket."
            )
        say(f"data: {counted(len(sizes), 'file')}, {sum(sizes.values()):,} bytes in {options.data_url}")
        n_fetched = fetch(store, sizes, folder.joinpath, say)
        say(
            f"data: {counted(n_fetched, 'file')} downloaded to {folder}, {len(sizes) - n_fetched} already there"
        )
    if options.need_unzip_in_modelarts:
        unzip(folder, options.need_unzip_files, options.data_url, say)


def unzip(folder: Path, names: Sequence[str], url: str, say: Say) -> None:
    """Unpack zip files below ``folder``, each into its own folder; all of them if ``names`` is empty.

    Raises:
        DataError: a named file or any zip file is missing, or one is damaged.
    """
    there = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.zip"))
    for name in names:
        if name not in there:
            raise DataError(
                f"{KEY}.need_unzip_files names {name!r}, which is not in {str(folder)!r}.{did_you_mean(name, there)} "
                f"Zip files there: {listing(there)}."
            )
    if not there:
        raise DataError(
            f"{KEY}.need_unzip_in_modelarts is True, but there is no zip file in {str(folder)!r}. Set it to False "
            f"if the data in the store are not zip files."
        )
    for name in names or there:
        file = folder / name
        if _is_unpacked(file):
            say(f"data: {name} is already unpacked")
            continue
        try:
            parts = unpack(file, file.parent)
        except DataError as error:
            whole = f" The file in {url} has the same size, so replace it there." if url else ""
            raise DataError(f"{error}{whole}") from error
        say(
            f"data: {name}: "
            + ", ".join(f"{counted(part.n_pictures, 'picture')} in {part.folder}" for part in parts)
        )


def _is_unpacked(file: Path) -> bool:
    """Return whether every file of a zip is beside it and has the right size."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except zipfile.BadZipFile:
        return False  # unpack() reports the problem
    places = [(file.parent / member.filename, member.file_size) for member in members]
    return all(place.is_file() and place.stat().st_size == size for place, size in places)


def fetch_weights(recipe: Recipe, options: Options, say: Say) -> Recipe:
    """Fetch an ``init_from`` that is an address in a store; return the recipe with the local path.

    Raises:
        DataError: the address has no files.
        StoreError, StoreRefusalError: the store cannot be read.
    """
    if "://" not in recipe.init_from:
        return recipe
    folder_url, _, name = recipe.init_from.rstrip("/").rpartition("/")
    is_file = name.endswith(".ckpt")
    store = open_store(folder_url if is_file else recipe.init_from, "init_from")
    sizes = persist(store.files, say)
    if is_file:  # with the description of the checkpoint, if there is one
        sizes = {name_: sizes[name_] for name_ in (name, "state.json") if name in sizes and name_ in sizes}
    if not sizes:
        raise DataError(f"init_from = {recipe.init_from!r} has no files. Check the path in the bucket.")
    local = Path(options.output_path) / "init_from" / (Path(folder_url).name if is_file else name)
    fetch(store, sizes, local.joinpath, say)
    say(f"init_from: {recipe.init_from} is in {local}")
    return dataclasses.replace(recipe, init_from=str(local / name if is_file else local))
