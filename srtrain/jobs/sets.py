"""Data sets as a command line names them."""

from __future__ import annotations

import inspect
import os
from typing import Any

from srtrain.data import DATASETS
from srtrain.data.degrade import Degrade
from srtrain.data.folders import split_roots
from srtrain.data.store import Pictures
from srtrain.errors import RecipeError
from srtrain.registry import check_arguments, parameters_of


def set_arguments(name: str, root: str, scale: int, **more: Any) -> dict[str, Any]:
    """Return the arguments to build a data set with.

    Args:
        name: of the data set.
        root: its folder; of ``pairs``, the folders of the ground truth and the low resolution, joined with ``:``.
        scale: of the pairs.
        more: further arguments.

    Raises:
        UnknownNameError: there is no such data set.
        RecipeError: the set needs a folder and none is given, or it does not take one of the arguments.
    """
    target = DATASETS.get(name)
    arguments: dict[str, Any] = {"scale": scale, **more}
    parameters = parameters_of(target)
    if "root" in parameters and "root" not in arguments:
        if root:
            arguments["root"] = root
        elif parameters["root"].default is inspect.Parameter.empty:
            raise RecipeError(
                f"the data set {name!r} needs its folder: add --root FOLDER or write {name}=FOLDER."
            )
    elif "gt_dir" in parameters and "gt_dir" not in arguments:
        folders = split_roots(root)
        if not root or len(folders) > 2:
            raise RecipeError(
                f"the data set {name!r} needs its folders: write {name}=GROUND_TRUTH{os.pathsep}LOW_RESOLUTION."
            )
        arguments |= dict(zip(("gt_dir", "lq_dir"), folders, strict=False))
    check_arguments(f"data set {name!r}", target, arguments)
    return arguments


def open_set(
    name: str, root: str, scale: int, degrade: Degrade | None = None, grey: bool = False, **more: Any
) -> Pictures:
    """Return the pictures of a data set, decoded when they are needed; see ``set_arguments`` and ``Pictures``."""
    pairs = DATASETS.build(name, **set_arguments(name, root, scale, **more))
    return Pictures(pairs, scale, cache="none", degrade=degrade, grey=grey)
