"""Score a network on whole pictures, one at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from srtrain.arrays import Float32, UInt8
from srtrain.data.resize import imresize
from srtrain.data.sampler import shard
from srtrain.data.store import Pictures
from srtrain.device.backend import Backend
from srtrain.errors import DataError, SrtrainError
from srtrain.evaluation.results import EvalResult, Example, PictureScore, describe_left_out
from srtrain.metrics.protocol import Protocol, quantise
from srtrain.metrics.psnr import EQUAL_DB

Upscale = Callable[[Float32], Float32]
"""Maps float32 NCHW RGB in [0, 255] to the same at ``scale`` times the size, not clipped."""


@dataclass
class EvalSet:
    """A benchmark: its pictures, and the protocol that scores them."""

    name: str
    pictures: Pictures
    scale: int
    protocol: Protocol
    bicubic_psnr: dict[tuple[Protocol, int], float] = field(default_factory=dict)

    def score_bicubic(self, protocol: Protocol, index: int, lq: UInt8, gt: UInt8) -> float:
        """Return the PSNR of bicubic interpolation in dB; it is computed once for each picture and protocol.

        It is NaN for a picture that is too small.
        """
        if (protocol, index) not in self.bicubic_psnr:
            enlarged = imresize(lq, self.scale)
            can = "psnr" in protocol.measurable(gt, self.scale)
            self.bicubic_psnr[protocol, index] = protocol.psnr(enlarged, gt, self.scale) if can else math.nan
        return self.bicubic_psnr[protocol, index]


class Evaluator:
    """Upscales the pictures of a benchmark and scores them; the ranks share the pictures.

    Args:
        upscale: the network.
        backend: the ranks; every rank returns the same result, and it does not depend on the number of ranks.
        n_examples: number of pictures that a result contains as examples.
        at_scale: the network at each of its scales, if it has several; ``upscale`` serves all other scales.
    """

    def __init__(
        self,
        upscale: Upscale,
        backend: Backend,
        n_examples: int = 1,
        at_scale: Mapping[int, Upscale] = MappingProxyType({}),
    ) -> None:
        self.upscale = upscale
        self.at_scale = at_scale
        self.backend = backend
        self.n_examples = n_examples

    def network(self, scale: int) -> Upscale:
        """Return the network at a scale."""
        return self.at_scale.get(scale, self.upscale)

    def run(self, benchmark: EvalSet, method: str = "plain", upscale: Upscale | None = None) -> EvalResult:
        """Evaluate one benchmark under its own protocol.

        Args:
            benchmark: its pictures are scored.
            method: name of the method in the result, such as ``self-ensemble x8``.
            upscale: used instead of the network.
        """
        return self.run_protocols(benchmark, (benchmark.protocol,), method, upscale)[0]

    def run_protocols(
        self,
        benchmark: EvalSet,
        protocols: Sequence[Protocol],
        method: str = "plain",
        upscale: Upscale | None = None,
        look: Callable[[Example], None] | None = None,
    ) -> list[EvalResult]:
        """Upscale each picture once and score it under several protocols; return one result for each protocol.

        Args:
            benchmark: its pictures are scored; its own protocol is not used.
            protocols: the protocols to score with.
            method: as in ``run``.
            upscale: as in ``run``.
            look: called with each picture of this rank and its score under the first protocol.

        Raises:
            DataError: all pictures are too small for a protocol.
            SrtrainError: the output for a picture is not finite.
        """
        started = time.perf_counter()
        n_pictures = len(benchmark.pictures)
        mine = shard(n_pictures, self.backend.rank, self.backend.world_size)
        rows: list[list[float]] = []
        examples: list[list[Example]] = [[] for _ in protocols]
        for index in tqdm(
            mine, desc=f"evaluate {benchmark.name}", unit="picture", leave=False, delay=2, disable=None
        ):
            seen = self.examine(benchmark, index, protocols, upscale or self.network(benchmark.scale))
            self.backend.progress.beat()
            rows.append([v for e in seen for v in e.score.numbers] + [seen[0].score.seconds])
            if look is not None:
                look(seen[0])
            if len(rows) <= self.n_examples:
                for kept, example in zip(examples, seen, strict=True):
                    kept.append(example)
        scores = self._of_all_ranks(rows, n_pictures, n_columns=3 * len(protocols) + 1)
        seconds = time.perf_counter() - started
        columns = [scores[:, [3 * k, 3 * k + 1, 3 * k + 2, -1]] for k in range(len(protocols))]
        return [
            self._result(benchmark, protocol, method, columns[k], seconds, examples[k])
            for k, protocol in enumerate(protocols)
        ]

    def _of_all_ranks(self, rows: list[list[float]], n_pictures: int, n_columns: int) -> NDArray[np.float64]:
        """Return one row for each picture, in the order of the benchmark, on every rank."""
        world_size = self.backend.world_size
        padded = np.full((-(-n_pictures // world_size), n_columns), np.nan)
        padded[: len(rows)] = np.reshape(rows, (-1, n_columns))
        gathered = self.backend.gather(padded)  # (ranks, rows, columns)
        by_picture = gathered.transpose(1, 0, 2).reshape(-1, n_columns)  # picture i was on rank i % ranks
        return by_picture[:n_pictures]

    def _result(
        self,
        benchmark: EvalSet,
        protocol: Protocol,
        method: str,
        rows: NDArray[np.float64],
        seconds: float,
        examples: list[Example],
    ) -> EvalResult:
        names = [benchmark.pictures.name(i) for i in range(len(rows))]
        scores = tuple(PictureScore(name, *row) for name, row in zip(names, rows.tolist(), strict=True))
        psnr, ssim, bicubic = rows[:, 0], rows[:, 1], rows[:, 2]
        if np.isnan(psnr).all():
            raise DataError(
                f"no picture of {benchmark.name} is large enough for {protocol.describe(benchmark.scale)}: nothing is "
                f"left inside the border. Use another protocol or other pictures."
            )
        in_both = np.isfinite(psnr) & np.isfinite(bicubic)
        same = bool((np.isfinite(psnr) == np.isfinite(bicubic)).all())
        return EvalResult(
            benchmark=benchmark.name,
            protocol=protocol.describe(benchmark.scale),
            method=method,
            n_pictures=len(rows),
            psnr=_mean(psnr, math.inf),
            ssim=_mean(ssim, math.nan),
            bicubic_psnr=_mean(bicubic, math.inf),
            seconds=seconds,
            left_out=describe_left_out(scores),
            common_gain=None if same and in_both.any() else _mean(psnr[in_both] - bicubic[in_both], math.nan),
            ranked=float(np.nanmean(np.minimum(psnr, EQUAL_DB))) if np.isinf(psnr).any() else None,
            scores=scores,
            examples=tuple(examples),
        )

    def examine(
        self, benchmark: EvalSet, index: int, protocols: Sequence[Protocol], upscale: Upscale
    ) -> list[Example]:
        """Upscale one picture; return it once for each protocol, with its score."""
        lq, gt = benchmark.pictures.lq(index), benchmark.pictures.gt(index)
        name, scale = benchmark.pictures.name(index), benchmark.scale
        started = time.perf_counter()
        output = upscale(lq.transpose(2, 0, 1)[None].astype(np.float32))
        seconds = time.perf_counter() - started
        try:
            sr = quantise(output[0].transpose(1, 2, 0))
        except SrtrainError as error:
            raise SrtrainError(f"picture {name!r} of {benchmark.name}: {error}") from error
        examples = []
        for protocol in protocols:
            metrics = protocol.measurable(gt, scale)
            found = protocol.score(sr, gt, scale, metrics) if metrics else {}
            bicubic = benchmark.score_bicubic(protocol, index, lq, gt)
            score = PictureScore(
                name, found.get("psnr", math.nan), found.get("ssim", math.nan), bicubic, seconds
            )
            examples.append(Example(name, lq, sr, gt, score))
        return examples


def _mean(values: NDArray[np.float64], otherwise: float) -> float:
    """Return the mean of the finite values, or another number if there is none."""
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if kept.size else otherwise
