"""Show the results of several models: a table, JSON, pictures and a plot."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from srtrain.data.picture import write_png
from srtrain.errors import DeviceError
from srtrain.evaluation.results import EvalResult, Example, finite, shown
from srtrain.evaluation.sheet import error_map, example_sheet, stacked
from srtrain.evaluation.table import aligned
from srtrain.metrics.published import Published
from srtrain.models.count import Cost


@dataclasses.dataclass(frozen=True)
class Row:
    """The result of one model on one set, under one protocol, by one method.

    Attributes:
        label: name of the model in tables and folders.
        paper_name: name of the model in papers, or an empty string.
        engine: name of the engine that ran it.
        protocol: registered name of the protocol; ``result.protocol`` describes it in words.
        published: score of the same model in a paper, if there is one.
        cost: ``None`` for bicubic, and for files that do not describe their network.
    """

    label: str
    paper_name: str
    engine: str
    scale: int
    protocol: str
    result: EvalResult
    published: Published | None
    cost: Cost | None

    @property
    def seconds_per_picture(self) -> float:
        """Mean time to upscale a picture, without reading and scoring."""
        return sum(score.seconds for score in self.result.scores) / len(self.result.scores)


def to_text(rows: Sequence[Row]) -> str:
    """Return the table, followed by the protocols in words."""
    head = (
        "model", "set", "scale", "protocol", "method", "PSNR", "SSIM", "published", "difference", "gain", "s/picture",
    )  # fmt: skip
    words = {f"{row.result.protocol}, mean over pictures": None for row in rows}
    notes = [f"protocol: {text}" for text in words]
    sources = sorted({row.published.source for row in rows if row.published})
    if sources:
        notes.append(f"published: as printed by {', '.join(sources)}")
    notes.append("gain: over bicubic, in dB")
    notes += [
        f"note: {row.label} on {row.result.benchmark}, {row.protocol}, {row.result.method}: {row.result.left_out}"
        for row in rows
        if row.result.left_out
    ]
    return "\n".join([aligned(head, [_cells(row) for row in rows]), *notes])


def _cells(row: Row) -> tuple[str, ...]:
    result, printed = row.result, row.published
    difference = ""
    if printed is not None and math.isfinite(result.psnr):
        difference = f"{result.psnr - printed.psnr:+.3f}"
        if printed.ssim is not None and math.isfinite(result.ssim):
            difference += f"/{result.ssim - printed.ssim:+.4f}"
    return (
        row.label,
        result.benchmark,
        f"x{row.scale}",
        row.protocol,
        result.method,
        shown(result.psnr),
        shown(result.ssim, ".4f"),
        _printed(printed),
        difference,
        shown(result.gain, "+.2f"),
        f"{row.seconds_per_picture:.2f}",
    )


def _printed(printed: Published | None) -> str:
    """Return a published score with its published number of digits."""
    if printed is None:
        return ""
    psnr = f"{printed.psnr:.2f}" if round(printed.psnr, 2) == printed.psnr else f"{printed.psnr:.3f}"
    return psnr if printed.ssim is None else f"{psnr}/{printed.ssim:.4f}"


def to_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return all numbers, including those of each picture; a number that JSON does not have becomes ``None``."""
    return [
        {
            "model": row.label,
            "paper_name": row.paper_name or None,
            "engine": row.engine,
            "set": row.result.benchmark,
            "scale": row.scale,
            "protocol": row.protocol,
            "protocol_in_words": row.result.protocol,
            "method": row.result.method,
            "n_pictures": row.result.n_pictures,
            "psnr": finite(row.result.psnr),
            "ssim": finite(row.result.ssim),
            "bicubic_psnr": finite(row.result.bicubic_psnr),
            "gain": finite(row.result.gain),
            "left_out": row.result.left_out,
            "published": row.published and dataclasses.asdict(row.published),
            "cost": row.cost and dataclasses.asdict(row.cost),
            "seconds": row.result.seconds,
            "seconds_per_picture": row.seconds_per_picture,
            "pictures": [
                {name: finite(value) for name, value in dataclasses.asdict(score).items()}
                for score in row.result.scores
            ],
        }
        for row in rows
    ]


def write_pictures(folder: Path, example: Example) -> None:
    """Write the output, the ground truth and the error map of one picture."""
    folder.mkdir(parents=True, exist_ok=True)
    write_png(folder / f"{example.name}_sr.png", example.sr)
    write_png(folder / f"{example.name}_gt.png", example.gt)
    write_png(folder / f"{example.name}_error.png", error_map(example.sr, example.gt))


def write_worst(file: Path, examples: Sequence[Example], row: Row) -> None:
    """Write one sheet of pictures, from the lowest PSNR up."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_png(file, stacked([example_sheet(e, row.result.protocol, row.label) for e in examples]))


def plot(file: Path, rows: Sequence[Row]) -> None:
    """Plot PSNR over multi-adds, one panel for each set; the area of a point shows the number of parameters.

    Raises:
        DeviceError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DeviceError("--plot needs matplotlib: pip install 'srtrain[plot]'.") from error
    panels = dict.fromkeys((r.result.benchmark, r.scale, r.protocol) for r in rows)
    largest = max((row.cost.n_parameters for row in rows if row.cost), default=1)
    figure = Figure(figsize=(6 * len(panels), 5), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        panel_rows = [r for r in rows if (r.result.benchmark, r.scale, r.protocol) == panel]
        for row in panel_rows:
            if row.cost is not None and math.isfinite(row.result.psnr):
                _draw(axes, row, row.cost, largest)
        axes.set(
            xscale="log",
            xlabel="multi-adds for 1280 x 720 output, G\n(area: parameters; hollow: self-ensemble x8)",
            ylabel="PSNR, dB",
            title="{} x{} ({})".format(*panel)
            + f"\nbicubic: {shown(panel_rows[0].result.bicubic_psnr, '.2f')} dB",
        )
        axes.margins(x=0.5, y=0.25)
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120)


def _draw(axes: Any, row: Row, cost: Cost, largest: int) -> None:
    psnr, ensemble = row.result.psnr, row.result.method != "plain"
    billions = cost.multi_adds * (8 if ensemble else 1) / 1e9
    area = max(12.0, 900 * cost.n_parameters / largest)
    colour = {"facecolors": "none"} if ensemble else {"facecolors": "tab:blue", "alpha": 0.6}
    axes.scatter([billions], [psnr], s=area, edgecolors="tab:blue", **colour)
    axes.annotate(
        f"{row.label}{' x8' if ensemble else ''}\n{psnr:.2f} dB, {cost.n_parameters / 1e6:.2f} M",
        (billions, psnr),
        xytext=(0, -5 - area**0.5 / 2),
        textcoords="offset points",
        fontsize=8,
        ha="center",
        va="top",
    )
