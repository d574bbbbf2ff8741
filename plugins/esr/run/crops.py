"""The crops that candidates are scored on. All candidates use the same crops, so their scores are comparable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from srtrain.arrays import Float32, UInt8
from srtrain.errors import RecipeError
from srtrain.evaluation.evaluator import EvalSet
from srtrain.metrics.protocol import quantise
from srtrain.metrics.psnr import EQUAL_DB


class Crops:
    """Square crops of all pictures of the benchmarks, at places that depend only on the seed.

    Args:
        benchmarks: sets of whole pictures, each with its protocol.
        lq_px: side of a crop of the input, in pixels.
        n_per_picture: number of crops of each picture.
        seed: seed of the places.

    Attributes:
        lq: all crops of the input, float32 NCHW RGB in [0, 255].
        protocol: description of what their PSNR measures.

    Raises:
        RecipeError: there is no benchmark, or a picture is smaller than a crop.
    """

    def __init__(self, benchmarks: Sequence[EvalSet], lq_px: int, n_per_picture: int, seed: int) -> None:
        if not benchmarks:
            raise RecipeError(
                "the search scores candidates on the benchmarks of the recipe, but it has none. Add one to benchmarks."
            )
        lq: list[UInt8] = []
        self._gt: list[tuple[EvalSet, UInt8]] = []
        for benchmark in benchmarks:
            pictures = benchmark.pictures
            for i in range(len(pictures)):
                height, width = pictures.lq(i).shape[:2]
                if min(height, width) < lq_px:
                    raise RecipeError(
                        f"hooks.search.crops.lq_px = {lq_px!r} is larger than the picture {pictures.name(i)!r} of "
                        f"{benchmark.name}, which has {width} x {height} px. Use smaller crops."
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
        """Return the mean PSNR in dB of upscaled crops (float32 NCHW RGB), by the protocols of their benchmarks.

        A crop that equals its ground truth, such as a flat one, counts ``EQUAL_DB``.
        """
        pictures = (quantise(picture.transpose(1, 2, 0)) for picture in sr)
        scores = [
            benchmark.protocol.psnr(picture, gt, benchmark.scale)
            for picture, (benchmark, gt) in zip(pictures, self._gt, strict=True)
        ]
        return float(np.mean(np.minimum(scores, EQUAL_DB)))
