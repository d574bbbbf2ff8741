"""Scores a network on whole pictures, one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from srtrain.arrays import Float32, UInt8
from srtrain.data.resize import imresize
from srtrain.data.sampler import shard
from srtrain.data.store import Pictures
from srtrain.metrics.protocol import Protocol, quantise
from srtrain.trainer.backend import Backend
from srtrain.trainer.types import EvalResult, Example, PictureScore

Upscale = Callable[[Float32], Float32]
"""From float32 NCHW RGB in [0, 255] to the same at ``scale`` times the size, not clipped."""


@dataclass
class EvalSet:
    """A benchmark made live: its pictures and the protocol that scores them."""

    name: str
    pictures: Pictures
    scale: int
    protocol: Protocol
    bicubic_psnr: dict[int, float] = field(default_factory=dict)

    def score_bicubic(self, index: int, lq: UInt8, gt: UInt8) -> float:
        """Return the PSNR of bicubic interpolation, which is computed once a picture."""
        if index not in self.bicubic_psnr:
            enlarged = imresize(lq, self.scale)
            self.bicubic_psnr[index] = self.protocol.psnr(enlarged, gt, self.scale)
        return self.bicubic_psnr[index]


class Evaluator:
    """Upscales the pictures of a benchmark and scores them; the ranks share the pictures.

    Args:
        upscale: the network.
        backend: knows the ranks; the result is the same on each of them.
        n_examples: pictures an evaluation hands on to be looked at.
    """

    def __init__(self, upscale: Upscale, backend: Backend, n_examples: int = 1) -> None:
        self.upscale = upscale
        self.backend = backend
        self.n_examples = n_examples

    def run(self, benchmark: EvalSet, method: str = "plain", upscale: Upscale | None = None) -> EvalResult:
        """Evaluate one benchmark.

        Args:
            benchmark: what to score.
            method: says in the result how ``upscale`` differs from the network alone.
            upscale: used instead of the network alone.
        """
        started = time.perf_counter()
        scores: list[PictureScore] = []
        examples: list[Example] = []
        mine = shard(len(benchmark.pictures), self.backend.rank, self.backend.world_size)
        for index in tqdm(
            mine, desc=f"evaluate {benchmark.name}", unit="picture", leave=False, delay=2, disable=None
        ):
            example = self._picture(benchmark, index, upscale or self.upscale)
            scores.append(example.score)
            if len(examples) < self.n_examples:
                examples.append(example)
        sums = np.array([[s.psnr, s.ssim, s.bicubic_psnr] for s in scores]).reshape(-1, 3).sum(axis=0)
        total = self.backend.all_reduce_sum(np.array([*sums, len(scores)]))
        psnr, ssim, bicubic = (float(value) for value in total[:3] / total[3])
        return EvalResult(
            benchmark=benchmark.name,
            protocol=benchmark.protocol.describe(benchmark.scale),
            method=method,
            n_pictures=int(total[3]),
            psnr=psnr,
            ssim=ssim,
            bicubic_psnr=bicubic,
            seconds=time.perf_counter() - started,
            scores=tuple(scores),
            examples=tuple(examples),
        )

    def _picture(self, benchmark: EvalSet, index: int, upscale: Upscale) -> Example:
        lq, gt = benchmark.pictures.lq(index), benchmark.pictures.gt(index)
        started = time.perf_counter()
        output = upscale(lq.transpose(2, 0, 1)[None].astype(np.float32))
        seconds = time.perf_counter() - started
        sr = quantise(output[0].transpose(1, 2, 0))
        score = PictureScore(
            name=benchmark.pictures.name(index),
            psnr=benchmark.protocol.psnr(sr, gt, benchmark.scale),
            ssim=benchmark.protocol.ssim(sr, gt, benchmark.scale),
            bicubic_psnr=benchmark.score_bicubic(index, lq, gt),
            seconds=seconds,
        )
        return Example(score.name, lq, sr, gt, score)
