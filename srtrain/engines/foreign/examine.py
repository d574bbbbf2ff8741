"""Find out by running it how a network from other software takes its pictures.

The probe is a smooth colour picture. A super-resolution network returns it nearly as bicubic interpolation does,
provided that the values have the range that the network was trained for.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from srtrain.arrays import Float32
from srtrain.data.resize import imresize
from srtrain.engines.foreign.form import Array, Declared, Form, Run
from srtrain.engines.foreign.ranges import RANGES, parse_range
from srtrain.errors import CheckpointError
from srtrain.models.ensemble import luma_of

# Sides to try on a network that declares none: the first is a multiple of all powers of two up to 64.
_SIDES_PX = (64, 48, 120, 112, 128, 224, 256, 512)
_MOST_PX = 2**24  # of the probe; what a damaged or odd file declares may need more memory than there is
_CLEAR = 0.1  # largest error, as a share of white, of a range that fits (RMS): trained networks reach 0.001
_BETTER = 2.0  # a range that fits must be so many times better than the next
_SAME = 1 / 255  # ranges whose outputs differ by less are the same: networks without biases work in any


@dataclass
class _Trials:
    """Runs of a network on the probe.

    Attributes:
        n: pictures in a batch.
        shapes: shapes of an input and its output that do not fit, the first one.
        error: why the network could not run, the last time.
    """

    run: Run
    n: int
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    error: str = ""

    def upscale(self, form: Form, height: int, width: int) -> Float32 | None:
        """Return the output for the probe as NCHW in [0, 255], N = 1; ``None`` if that cannot be run."""
        if height * width * self.n > _MOST_PX:
            self.error = f"it accepts only {self.n} x {height} x {width} px, which is too much for one run"
            return None
        given = form.to_theirs(probe(height, width, form.n_channels))
        try:
            out = self.run(np.repeat(given, self.n, axis=0))[:1]
        except (
            CheckpointError,
            MemoryError,
        ) as error:  # ncnn reports a size that does not fit as too little memory
            self.error = str(error)
            return None
        sr = form.from_theirs(out)
        factor = sr.shape[2] // height if sr is not None else 0
        if sr is None or not factor or sr.shape[2:] != (factor * height, factor * width):
            self.shapes = self.shapes or (given.shape, out.shape)
            return None
        return sr

    def fits(self, form: Form, height: int, width: int) -> bool:
        """Return whether the network runs on this size, with the scale that is known."""
        sr = self.upscale(form, height, width)
        return sr is not None and sr.shape[2] == height * form.scale


def probe(height: int, width: int, n_channels: int = 3) -> Float32:
    """Return a smooth picture with all levels of each colour: float32 NCHW in [0, 255], N = 1."""
    y, x = np.mgrid[:height, :width].astype(np.float32) / 10
    waves = (np.sin(x + 0.5), np.cos(y), np.sin(0.7 * (x - y)))
    rgb = (127.5 * (1 + np.stack(waves)))[None].astype(np.float32)
    return rgb if n_channels == 3 else luma_of(rgb)


def examine(path: Path, run: Run, declared: Declared, batch: int | None, stated: str | None) -> Form:
    """Return how a network takes its pictures.

    Args:
        path: the file, for messages.
        run: runs the network.
        declared: what the file says about its input.
        batch: the only batch size that the file accepts, or ``None`` for any.
        stated: the range of values, if the user stated it; see `parse_range`.

    Raises:
        CheckpointError: the input has other channels or numbers than pictures have; the network is not for
            super-resolution; or its range of values cannot be told.
    """
    trials = _Trials(run, batch or 1)
    form = _sized(path, trials, list(_layouts(path, declared)), _fixed_px(declared))
    values_in, values_out = parse_range(stated) if stated else _values(path, trials, form)
    return replace(form, values_in=values_in, values_out=values_out)


def _layouts(path: Path, declared: Declared) -> Iterator[Form]:
    """Yield the layouts that an input may have."""
    shape = declared.shape or (None,) * 4
    if len(shape) == 4:
        for last, n in itertools.product((False, True), (3, 1)):
            if shape[3 if last else 1] == n:
                yield Form(declared.dtype, n, last)
                return
        if shape[1] is None:
            yield from (Form(declared.dtype, n, last) for n in (3, 1) for last in (False, True))
            return
    raise CheckpointError(
        f"{str(path)!r} has an input of shape {_shape(shape)}; expected (N, 3, H, W) or (N, H, W, 3) for RGB, or 1 "
        f"instead of 3 for brightness."
    )


def _fixed_px(declared: Declared) -> tuple[int, int] | None:
    """Return the only size that the file accepts. A side that is free becomes as long as the other."""
    if len(declared.shape) != 4:
        return None
    last = declared.shape[3] in (1, 3) and declared.shape[1] not in (1, 3)
    height, width = declared.shape[1:3] if last else declared.shape[2:]
    if height is None and width is None:
        return None
    return height or width or 0, width or height or 0


def _sized(path: Path, trials: _Trials, layouts: list[Form], fixed: tuple[int, int] | None) -> Form:
    """Return the layout with which the network runs, its scale, and the sizes that it accepts."""
    sizes = [fixed] if fixed else [(side, side) for side in _SIDES_PX]
    for form, size in itertools.product(layouts, sizes):
        sr = trials.upscale(form, *size)
        if sr is not None:
            form = replace(form, scale=sr.shape[2] // size[0])
            return replace(form, input_px=size) if fixed else _multiple(trials, form, size[0])
    if trials.shapes:
        raise CheckpointError(
            f"{str(path)!r} maps an input of shape {trials.shapes[0]} to {trials.shapes[1]}. A super-resolution "
            f"network for RGB pictures keeps N and C, and multiplies H and W by the same whole number."
        )
    raise CheckpointError(
        f"{str(path)!r} runs on none of the sizes that were tried ({', '.join(f'{h} x {w}' for h, w in sizes)} px): "
        f"{trials.error}"
    )


def _multiple(trials: _Trials, form: Form, side: int) -> Form:
    """Find the sizes that a network accepts which runs on ``side``: its multiple, and the least one."""
    for step in (n for n in range(1, side + 1) if side % n == 0):
        if trials.fits(form, side + step, side + step):
            steps = (step * 2**k for k in range(side.bit_length()) if step * 2**k < side)
            least = next((px for px in steps if trials.fits(form, px, px)), side)
            return replace(form, multiple_px=step, least_px=least)
    return replace(form, input_px=(side, side))


def _values(path: Path, trials: _Trials, form: Form) -> tuple[str, str]:
    """Return the ranges of input and output whose output is nearest to bicubic interpolation."""
    height, width = form.input_px or (form.multiple_px * -(-max(64, form.least_px) // form.multiple_px),) * 2
    lq = probe(height, width, form.n_channels)
    bicubic = imresize(np.ascontiguousarray(lq[0].transpose(1, 2, 0)), form.scale).transpose(2, 0, 1)
    # Only the middle counts, since networks pad at the borders.
    middle = (slice(None), *(slice(side // 4, side - side // 4) for side in bicubic.shape[1:]))
    outputs: dict[tuple[str, str], Array] = {}
    for values_in in ("0-255",) if form.dtype == "uint8" else RANGES:
        sr = trials.upscale(replace(form, values_in=values_in), height, width)
        if sr is None:
            continue
        for values_out in RANGES:
            out = replace(form, values_out=values_out).from_theirs(sr)
            assert out is not None  # for mypy: ``sr`` has the shape of pictures
            outputs[values_in, values_out] = out[0][middle] / 255
    expected = bicubic[middle] / 255
    errors = {names: _rms(out - expected) for names, out in outputs.items()}
    # Of equally good ranges the first, with the same range for input and output before others.
    ranked = sorted(errors, key=lambda names: (round(errors[names], 4), names[0] != names[1]))
    best = ranked[0]
    others = [
        names
        for names in ranked[1:]
        if errors[names] < _BETTER * errors[best] and _rms(outputs[names] - outputs[best]) > _SAME
    ]
    if errors[best] > _CLEAR or others:
        raise CheckpointError(_undecided(path, errors, is_black=_rms(outputs["0-255", "0-255"]) < _SAME))
    return best


def _undecided(path: Path, errors: dict[tuple[str, str], float], is_black: bool) -> str:
    told = "; ".join(
        f"{errors[name, name]:.0%} with {name}"
        for name in RANGES
        if np.isfinite(errors.get((name, name), np.inf))
    )
    residual = (
        " Its output is nearly zero, as if it were only a correction; a file for srtrain must contain the sum with the "
        "enlarged picture."
        if is_black
        else ""
    )
    return (
        f"{str(path)!r} does not say which range of values it expects, and it cannot be measured: on a smooth picture "
        f"its output differs from bicubic interpolation by this share of white: {told or 'it is not finite'}. State "
        f"the range with --range 0-255 or --range 0-1 (value_range= in Python).{residual}"
    )


def _rms(difference: Array) -> float:
    rms = float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))
    return rms if np.isfinite(rms) else np.inf


def _shape(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if side is None else str(side) for side in shape) + ")"
