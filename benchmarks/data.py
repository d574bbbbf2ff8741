"""Compare patches per second: our loader with a warm cache, and loaders that decode PNGs for each patch.

    python benchmarks/data.py

The pictures have 2040×1356 px. They are made from ../shared/data/photos_1024, or generated if that folder is missing.
A patch has 96 px in and 192 px out, and every loader ends in the same uint8 NCHW batch. Times are CPU seconds of this
process. They are therefore per core, and hardly depend on other load on the machine. The last line is JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from srtrain.data.folders import folder
from srtrain.data.loader import Batch, Loader
from srtrain.data.picture import read_rgb, write_bytes
from srtrain.data.resize import imresize, make_lq
from srtrain.data.sampler import Sampler
from srtrain.data.store import Pictures

UInt8 = NDArray[np.uint8]

SCALE, LQ_PX, GT_PX, BATCH = 2, 96, 192, 16
HEIGHT, WIDTH = 1356, 2040
SUB_PX = 480  # the size of BasicSR's sub-images
PHOTOS = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "photos_1024"


def pictures_2k() -> list[UInt8]:
    """Return photographs mirrored to 2K, or synthetic pictures that take a PNG decoder about as long."""
    if PHOTOS.is_dir():
        photos = [read_rgb(path) for path in sorted(PHOTOS.glob("*.png"))]
        margins = [[(0, HEIGHT - photo.shape[0]), (0, WIDTH - photo.shape[1]), (0, 0)] for photo in photos]
        return [np.pad(photo, margin, "symmetric") for photo, margin in zip(photos, margins, strict=True)]
    rng = np.random.default_rng(0)
    layers = [
        cv2.resize(rng.normal(0, 60 / n**0.5, (n, n, 3)), (WIDTH, HEIGHT)) for n in (4, 16, 64, 256, 1024)
    ]
    return [np.clip(128 + np.roll(sum(layers), 97 * k, axis=1), 0, 255).astype(np.uint8) for k in range(8)]


def make_pictures(root: Path, n_pictures: int) -> None:
    """Write pairs of 2K pictures, and the same pairs cut into sub-images."""
    photos = pictures_2k()
    for directory in ("HR", "LR_bicubic/X2", "sub/HR", "sub/LR"):
        (root / directory).mkdir(parents=True)
    for i in range(n_pictures):
        gt = np.ascontiguousarray(np.roll(photos[i % len(photos)], 131 * (i // len(photos)), axis=0))
        lq = make_lq(gt, SCALE)
        _write(root / "HR" / f"{i:04d}.png", gt)
        _write(root / "LR_bicubic" / "X2" / f"{i:04d}x2.png", lq)
        small = SUB_PX // SCALE
        for y in range(0, lq.shape[0] - small + 1, small):
            for x in range(0, lq.shape[1] - small + 1, small):
                name = f"{i:04d}_{y}_{x}.png"
                _write(root / "sub" / "LR" / name, np.ascontiguousarray(lq[y : y + small, x : x + small]))
                part = gt[SCALE * y : SCALE * (y + small), SCALE * x : SCALE * (x + small)]
                _write(root / "sub" / "HR" / name, np.ascontiguousarray(part))


def _write(path: Path, rgb: UInt8) -> None:
    """Write a PNG at zlib's default level 6. OpenCV's own default is 1, which decodes about a fifth faster."""
    options = (cv2.IMWRITE_PNG_COMPRESSION, 6)
    write_bytes(path, cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)[1].tobytes())


def decoding(pairs: list[tuple[Path, Path]], n_patches: int) -> Callable[[], object]:
    """Decode a pair of PNGs for each patch, crop, rotate, and stack as uint8 NCHW."""
    rng = np.random.default_rng(0)

    def run() -> object:
        batches = []
        for gt_path, lq_path in (pairs[int(k)] for k in rng.integers(len(pairs), size=n_patches)):
            gt, lq = (cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in (gt_path, lq_path))
            y, x = (int(rng.integers(side - LQ_PX + 1)) for side in lq.shape[:2])
            lq = lq[y : y + LQ_PX, x : x + LQ_PX]
            gt = gt[SCALE * y : SCALE * y + GT_PX, SCALE * x : SCALE * x + GT_PX]
            code = int(rng.integers(-1, 2))
            planes = [cv2.flip(patch, code).transpose(2, 0, 1) for patch in (lq, gt)]
            batches.append([np.ascontiguousarray(plane) for plane in planes])
        return [np.stack(arrays) for arrays in zip(*batches, strict=True)]

    return run


def ours(root: Path, cache: Path, n_steps: int) -> Callable[[], object]:
    """Assemble batches from the warm cache, in this thread."""
    pictures = Pictures(folder(str(root), SCALE), SCALE, "mmap", cache)
    loader = Loader(pictures, Sampler(len(pictures), BATCH, seed=0), GT_PX, workers=0)
    steps: Iterator[int] = iter(range(10**9))

    def run() -> Batch:
        for _ in range(n_steps):
            batch = loader.batch(next(steps))
        return batch

    return run


def cpu_seconds(
    run: Callable[[], object], n_patches: int, clock: Callable[[], float] = time.process_time
) -> float:
    """Return the seconds per patch."""
    before = clock()
    run()
    return (clock() - before) / n_patches


def resident_mb() -> float:
    """Return the resident memory of this process in MB."""
    gc.collect()
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def resident_after(root: Path, cache: Path, n_pictures: int) -> float:
    """Return resident memory after many batches from the first pictures of the set."""
    pictures = Pictures(folder(str(root), SCALE, last=n_pictures), SCALE, "mmap", cache)
    loader = Loader(pictures, Sampler(n_pictures, BATCH, seed=0), GT_PX, workers=0)
    for step in range(40):
        loader.batch(step)
    return resident_mb()


def resize_ratios(n_rounds: int = 41) -> dict[str, float]:
    """Compare imresize with OpenCV's bicubic (no antialiasing, one rounding) in turns; return ours / OpenCV's.

    The input of an enlargement is a 2K picture divided by the factor.
    """
    gt = pictures_2k()[0]
    ratios = {}
    print(f"\nresizing from or to {WIDTH}×{HEIGHT} px, ms (least, median)    ours         OpenCV      ratios")
    for kind in (np.uint8, np.float32):
        for factor in (1 / 2, 1 / 3, 1 / 4, 2.0, 3.0, 4.0):
            small = max(round(factor), 1)
            picture: NDArray[Any] = np.ascontiguousarray(gt[: HEIGHT // small, : WIDTH // small]).astype(kind)
            runs = (
                partial(imresize, picture, factor),
                partial(cv2.resize, picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC),
            )
            for run in runs:
                run()  # the first call compiles and starts threads
            times = np.array(
                [[cpu_seconds(run, 1, time.perf_counter) for run in runs] for _ in range(n_rounds)]
            )
            (a, b), (c, d) = times.min(axis=0) * 1e3, np.median(times, axis=0) * 1e3
            name = f"{np.dtype(kind).name} " + (f"x{small}" if factor > 1 else f"x1/{round(1 / factor)}")
            print(f"{name:46} {a:7.1f} {c:6.1f} {b:7.1f} {d:6.1f} {a / b:6.1f} {c / d:5.1f}")
            ratios[name] = round(float(c / d), 1)
    return ratios


def main() -> None:
    """Measure in turns, so that all loaders see the same machine, and keep the best time of each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "set"
        make_pictures(root, args.pictures)
        cache = Path(directory) / "cache"
        whole = [(p.gt, p.lq) for p in folder(str(root), SCALE) if p.lq is not None]
        parts = [(path, root / "sub" / "LR" / path.name) for path in sorted((root / "sub" / "HR").iterdir())]
        from_cache = ours(root, cache, n_steps=20)
        from_cache()
        runs = {
            "ours, warm cache": (from_cache, 20 * BATCH),
            "whole PNGs (model zoo)": (decoding(whole, BATCH), BATCH),
            "480 px sub-images (BasicSR)": (decoding(parts, 4 * BATCH), 4 * BATCH),
        }
        best = dict.fromkeys(runs, float("inf"))
        for _ in range(args.rounds):
            for name, (run, n_patches) in runs.items():
                best[name] = min(best[name], cpu_seconds(run, n_patches))
        print(f"{'':28} {'ms a patch':>10} {'patches/s and core':>20} {'ours is':>10}")
        fastest = best["ours, warm cache"]
        for name, seconds in best.items():
            print(f"{name:28} {seconds * 1e3:10.3f} {1 / seconds:20.0f} {seconds / fastest:9.0f}×")
        few = max(args.pictures // 4, 1)
        memory = {n: resident_after(root, cache, n) for n in (few, args.pictures, few, args.pictures)}
        decoded = args.pictures * HEIGHT * WIDTH * 3 * 1.25 / 1e6
        for n, mb in sorted(memory.items()):
            print(f"resident memory with {n} pictures: {mb:.0f} MB")
        print(f"(the {args.pictures} pictures, decoded, are {decoded:.0f} MB)")
    cv2.setNumThreads(-1)
    result = {
        "imresize_over_opencv": resize_ratios(),
        "over_model_zoo": round(best["whole PNGs (model zoo)"] / fastest, 1),
        "over_subimages": round(best["480 px sub-images (BasicSR)"] / fastest, 1),
        "patches_per_second": round(1 / fastest),
        "resident_mb": {str(n): round(mb) for n, mb in sorted(memory.items())},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
