"""Write folders of bicubic low-resolution pictures, with the names and folders of DIV2K."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from srtrain.data.folders import list_pictures
from srtrain.data.parallel import in_parallel
from srtrain.data.picture import cannot_write, look, read_rgb, write_png
from srtrain.data.resize import make_lq
from srtrain.errors import DataError


def default_target(gt_dir: Path) -> Path:
    """Return where data sets look: ``HR`` -> ``LR_bicubic``, ``DIV2K_train_HR`` -> ``DIV2K_train_LR_bicubic``."""
    stem = gt_dir.name.removesuffix("HR")
    return gt_dir.with_name(f"{stem}LR_bicubic") if stem != gt_dir.name else gt_dir / "LR_bicubic"


def write_bicubic(gt_dir: Path, target: Path, scales: Sequence[int], overwrite: bool = False) -> int:
    """Write ``target/X2/0001x2.png`` and so on for each picture and scale; return the number of files.

    Raises:
        DataError: a picture cannot be read, or the target is not empty or cannot be written.
    """
    pictures = list_pictures(gt_dir, "ground truth")
    folders = {scale: target / f"X{scale}" for scale in scales}
    for folder in folders.values():
        if folder.is_dir() and any(folder.iterdir()) and not overwrite:
            raise DataError(f"{str(folder)!r} is not empty. Add --overwrite to replace its contents.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error) from error

    def write(path: Path) -> int:
        gt = read_rgb(path)
        for scale, folder in folders.items():
            lq = make_lq(gt, scale)
            # A grey ground truth gets a grey file, as in the official sets.
            write_png(folder / f"{path.stem}x{scale}.png", lq[..., 0] if look(path).mode == "grey" else lq)
        return len(folders)

    return sum(in_parallel(write, pictures, "writing low resolution"))
