"""The pictures that candidates are scored on: always the same crops, so that their scores can be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from srtrain.arrays import Float32, UInt8
from srtrain.errors import RecipeError
from srtrain.evaluation.evaluator import EvalSet
from srtrain.metrics.protocol import quantise


class Crops:
    """Squares of one size from every picture of some benchmarks, at places that depend on the seed alone.

    Args:
        benchmarks: sets of whole pictures, each with its protocol.
        lq_px: side of a crop of the input.
        n_per_picture: crops of each picture.
        seed: of their places.

    Attributes:
        lq: float32 NCHW RGB in [0, 255], all crops.
        protocol: what their PSNR is, in words.

    Raises:
        RecipeError: no benchmark, or a picture smaller than a crop.
    """

    def __init__(self, benchmarks: Sequence[EvalSet], lq_px: int, n_per_picture: int, seed: int) -> None:
        if not benchmarks:
            raise RecipeError("the search scores candidates on the recipe's benchmarks, and there are none.")
        lq: list[UInt8] = []
        self._gt: list[tuple[EvalSet, UInt8]] = []
        for benchmark in benchmarks:
            pictures = benchmark.pictures
            for i in range(len(pictures)):
                height, width = pictures.lq(i).shape[:2]
                if min(height, width) < lq_px:
                    raise RecipeError(
                        f"hooks.search.crops.lq_px = {lq_px!r}: the picture {pictures.name(i)!r} of {benchmark.name} "
                        f"is smaller, {width} x {height} px. Take smaller crops."
                    )
                places = np.random.default_rng([seed, i])
                for _ in range(n_per_picture):
                    y, x = (int(places.integers(0, side - lq_px + 1)) for side in (height, width))
                    patch, gt = pictures.patch(i, y, x, lq_px)
                    lq.append(patch)
                    self._gt.append((benchmark, gt))
        self.lq: Float32 = np.stack(lq).transpose(0, 3, 1, 2).astype(np.float32)
        self.protocol = " and ".join(
            f"{n_per_picture * len(b.pictures)} crops of {b.name}, {lq_px} px in, {b.protocol.describe(b.scale)}"
            for b in benchmarks
        )

    def psnr(self, sr: Float32) -> float:
        """Return the mean PSNR in dB of upscaled crops, float32 NCHW RGB, each under its benchmark's protocol."""
        pictures = (quantise(picture.transpose(1, 2, 0)) for picture in sr)
        scores = [
            benchmark.protocol.psnr(picture, gt, benchmark.scale)
            for picture, (benchmark, gt) in zip(pictures, self._gt, strict=True)
        ]
        return float(np.mean(scores))
