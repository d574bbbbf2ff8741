"""Data sets as a command line names them."""

from __future__ import annotations

from typing import Any

from srtrain.data import DATASETS
from srtrain.data.degrade import Degrade
from srtrain.data.store import Pictures
from srtrain.errors import RecipeError
from srtrain.registry import check_arguments, parameters_of


def set_arguments(name: str, root: str, scale: int, **more: Any) -> dict[str, Any]:
    """Return the arguments to build a data set with.

    Args:
        name: of the data set.
        root: its folder; left out where the set takes none.
        scale: of the pairs.
        more: further arguments.

    Raises:
        UnknownNameError: there is no such data set.
        RecipeError: the set needs a folder and none is given, or it does not take one of the arguments.
    """
    target = DATASETS.get(name)
    arguments: dict[str, Any] = {"scale": scale, **more}
    if "root" in parameters_of(target) and "root" not in arguments:
        if not root:
            raise RecipeError(
                f"the data set {name!r} needs its folder: add --root FOLDER or write {name}=FOLDER."
            )
        arguments["root"] = root
    check_arguments(f"data set {name!r}", target, arguments)
    return arguments


def open_set(
    name: str, root: str, scale: int, degrade: Degrade | None = None, grey: bool = False, **more: Any
) -> Pictures:
    """Return the pictures of a data set, decoded when they are needed; see ``set_arguments`` and ``Pictures``."""
    pairs = DATASETS.build(name, **set_arguments(name, root, scale, **more))
    return Pictures(pairs, scale, cache="none", degrade=degrade, grey=grey)
