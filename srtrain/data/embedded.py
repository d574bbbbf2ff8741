"""The four pictures inside the package, so that the first run needs no download.

Train on astronaut, coffee and rocket; evaluate on chelsea. Licences: ``pictures/LICENSES.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from srtrain.data import DATASETS
from srtrain.data.folders import Pair
from srtrain.errors import DataError, did_you_mean, listing

TRAIN_NAMES = ("astronaut", "coffee", "rocket")
_FILES = {
    "astronaut": "astronaut.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "chelsea": "chelsea.png",
}


@DATASETS.register(from_run=("scale",))
def embedded(scale: int, names: Sequence[str] = TRAIN_NAMES) -> list[Pair]:
    """List pictures of the package; their low resolution is made while reading, for any scale.

    Args:
        scale: from the run.
        names: ``astronaut``, ``coffee``, ``rocket`` or ``chelsea``.

    Raises:
        DataError: a name is not in the package, or there is no name.
    """
    if isinstance(names, str) or not names:
        raise DataError(f"embedded pictures: names={names!r} must be a list of names such as ('chelsea',).")
    for name in names:
        if name not in _FILES:
            raise DataError(
                f"there is no embedded picture {name!r}.{did_you_mean(name, _FILES)} There are: "
                f"{listing(_FILES)}."
            )
    home = Path(str(files("srtrain.data").joinpath("pictures")))
    return [Pair(name, home / _FILES[name], None) for name in names]
