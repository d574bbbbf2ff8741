"""Consent to run the plugins that a run folder or a checkpoint names.

A run folder from someone else may name any file or module as a plugin, and importing it runs its code. A plugin that an
installed package declares, or that belongs to this project, needs no consent: the user installed it. All others need
``--plugin NAME`` on the command line. The consent is then stored outside the run folder, for this folder and this
content of the plugin, so that continuing one's own run does not ask again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from srtrain import plugins
from srtrain.errors import RecipeError, counted
from srtrain.files import write_whole

_PROJECT = "srtrain_plugins"


def allowed(
    recorded: Iterable[str], folder: Path, given: Sequence[str] = (), beside: Path | None = None
) -> list[str]:
    """Return the names of the plugins to activate for a run folder, and store the consent that was given.

    A file that is not where it was recorded is replaced by a file of the same name that was given.

    Args:
        recorded: plugins that the run folder names. Nothing of them is imported.
        folder: the run folder, or the folder of a checkpoint that belongs to none.
        given: plugins on the command line. Those that are active in this process count as given, too.
        beside: folder where relative plugin files are looked for, beside the working folder.

    Raises:
        RecipeError: there is no such plugin, or one of them needs a consent that was not given.
    """
    known = {plugins.find(name, beside).name for name in given} | plugins.active()
    found = [_found(name, known, beside) for name in recorded]
    foreign = [plugin for plugin in found if not _belongs_here(plugin)]
    refused = [plugin for plugin in foreign if plugin.name not in known and not _is_stored(plugin, folder)]
    if refused:
        them = "it" if len(refused) == 1 else "them"
        words = " ".join(f"--plugin {plugin.name}" for plugin in refused)
        raise RecipeError(
            f"{str(folder)!r} asks to run the code of {counted(len(refused), 'plugin')} that no installed package "
            f"declares: {', '.join(repr(plugin.name) for plugin in refused)}. A run folder from someone else can ask "
            f"for any code, so nothing of {them} was run. Read {them}, and if you trust {them}, add {words}."
        )
    for plugin in foreign:
        if plugin.name in known:
            _store(plugin, folder)
    return [plugin.name for plugin in found]


def remember(names: Iterable[str], folder: Path) -> str:
    """Store the consent to all plugins of a run that the user starts; return why that failed, or an empty string."""
    foreign = (plugin for plugin in map(plugins.find, names) if not _belongs_here(plugin))
    return next((reason for plugin in foreign if (reason := _store(plugin, folder))), "")


def _found(name: str, known: Iterable[str], beside: Path | None) -> plugins.Found:
    try:
        return plugins.find(name, beside)
    except RecipeError:
        moved = [other for other in known if Path(other).name == Path(name).name and name.endswith(".py")]
        if not moved:
            raise
        return plugins.find(moved[0])


def _belongs_here(plugin: plugins.Found) -> bool:
    """Return whether a plugin is declared by an installed package, or is a module of this project."""
    ours = {place.resolve() for place in plugins.module_places(_PROJECT)}
    return not plugin.places or {place.resolve() for place in plugin.places} <= ours


def _is_stored(plugin: plugins.Found, folder: Path) -> bool:
    try:
        return _file(_about(plugin, folder)).is_file()
    except OSError:
        return False


def _store(plugin: plugins.Found, folder: Path) -> str:
    """Store a consent; return why that failed, or an empty string."""
    try:
        about = _about(plugin, folder)
        file = _file(about)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(about, indent=2) + "\n")
    except OSError as error:
        return str(error)
    return ""


def _about(plugin: plugins.Found, folder: Path) -> dict[str, str]:
    told = hashlib.sha256()
    for name, content in _sources(plugin):
        told.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return {"folder": str(folder.resolve()), "plugin": plugin.name, "sha256": told.hexdigest()}


def _sources(plugin: plugins.Found) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file that the import of a plugin may run."""
    for place in plugin.places:
        files = sorted(file for file in place.rglob("*") if file.is_file()) if place.is_dir() else [place]
        for file in files:
            if "__pycache__" not in file.parts:
                yield file.name if file == place else str(file.relative_to(place)), file.read_bytes()


def _file(about: dict[str, str]) -> Path:
    """Return the file whose existence is the consent.

    Raises:
        OSError: this user has no home.
    """
    try:
        home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    except RuntimeError as error:
        raise OSError(f"there is no folder for settings: {error}") from error
    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]
    return home / "srtrain" / "consent" / f"{name}.json"
