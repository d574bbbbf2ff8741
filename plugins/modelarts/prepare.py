"""Before a run: its data and the weights it starts from, fetched and unpacked, once on each machine."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Sequence
from pathlib import Path

from srtrain.data.unpack import unpack
from srtrain.errors import DataError, did_you_mean, listing
from srtrain.recipe import Recipe

from .options import KEY, Options
from .store import open_store
from .transfer import Say, fetch, persist


def fetch_data(options: Options, say: Say) -> None:
    """Download ``data_url`` into ``data_path``, what is missing there or has another size, and unpack it.

    Raises:
        DataError: nothing lies there, or a zip file is named that is not there or is damaged.
        StoreError, StoreRefusalError: the store cannot be read.
    """
    folder = Path(options.data_path)
    if options.data_url:
        store = open_store(options.data_url, f"{KEY}.data_url")
        sizes = persist(store.files, say)
        if not sizes:
            raise DataError(
                f"{KEY}.data_url = {options.data_url!r}: nothing lies there. Check the path in the bucket."
            )
        say(f"data: {len(sizes)} files, {sum(sizes.values()):,} bytes in {options.data_url}")
        n_fetched = fetch(store, sizes, folder.joinpath, say)
        say(f"data: {n_fetched} files downloaded to {folder}, {len(sizes) - n_fetched} were there")
    if options.need_unzip_in_modelarts:
        unzip(folder, options.need_unzip_files, options.data_url, say)


def unzip(folder: Path, names: Sequence[str], url: str, say: Say) -> None:
    """Unpack zip files below ``folder``, each beside itself; all of them where no names are given.

    Raises:
        DataError: a name that is not there, no zip file at all, or one that is damaged.
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
            f"where the data lie unpacked in the store."
        )
    for name in names or there:
        file = folder / name
        if _is_unpacked(file):
            say(f"data: {name} is unpacked already")
            continue
        try:
            parts = unpack(file, file.parent)
        except DataError as error:
            whole = f" It has the size it has in {url}, so that is the copy to replace." if url else ""
            raise DataError(f"{error}{whole}") from error
        say(f"data: {name}: " + ", ".join(f"{part.n_pictures} pictures in {part.folder}" for part in parts))


def _is_unpacked(file: Path) -> bool:
    """Return whether every file of a zip lies beside it with its size."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except zipfile.BadZipFile:
        return False  # unpack() says what is wrong with it
    places = [(file.parent / member.filename, member.file_size) for member in members]
    return all(place.is_file() and place.stat().st_size == size for place, size in places)


def fetch_weights(recipe: Recipe, options: Options, say: Say) -> Recipe:
    """Return the recipe with an ``init_from`` that lies in a store fetched to this machine.

    Raises:
        DataError: nothing lies there.
        StoreError, StoreRefusalError: the store cannot be read.
    """
    if "://" not in recipe.init_from:
        return recipe
    folder_url, _, name = recipe.init_from.rstrip("/").rpartition("/")
    is_file = name.endswith(".ckpt")
    store = open_store(folder_url if is_file else recipe.init_from, "init_from")
    sizes = persist(store.files, say)
    if is_file:  # with what its checkpoint says about itself, where it is one of ours
        sizes = {name_: sizes[name_] for name_ in (name, "state.json") if name in sizes and name_ in sizes}
    if not sizes:
        raise DataError(
            f"init_from = {recipe.init_from!r}: nothing lies there. Check the path in the bucket."
        )
    local = Path(options.output_path) / "init_from" / (Path(folder_url).name if is_file else name)
    fetch(store, sizes, local.joinpath, say)
    say(f"init_from: {recipe.init_from} is in {local}")
    return dataclasses.replace(recipe, init_from=str(local / name if is_file else local))
