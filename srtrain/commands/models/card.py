"""Cards of the built-in models as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from srtrain import zoo
from srtrain.cli.main import function_named
from srtrain.errors import counted

_HEAD = ("model", "scale", "PSNR", "benchmark", "parameters", "s/megapixel")
_SCORES = ("set", "protocol", "method", "PSNR", "bicubic", "SSIM")


def table_of(cards: Sequence[dict[str, Any]]) -> str:
    """Return a line for each card."""
    return _aligned(_HEAD, [*map(_row, cards)])


def _row(card: dict[str, Any]) -> tuple[str, ...]:
    first = card["scores"][0]
    return (
        card["name"],
        f"x{card['scale']}",
        f"{first['psnr']:.2f} dB",
        f"{first['set']} ({first['protocol']})",
        f"{card['network']['parameters']:,}",
        f"{card['speed']['seconds_per_megapixel']:.2f}",
    )


def text_of(card: dict[str, Any]) -> str:
    """Return a card as text."""
    network, training, speed = card["network"], card["training"], card["speed"]
    arguments_ = ", ".join(f"{name}={value}" for name, value in network["model_args"].items())
    recipe = " ".join([training["recipe"], *training["changes"]])
    facts = {
        "network": f"{network['model']} x{card['scale']} ({arguments_})",
        "parameters": f"{network['parameters']:,}",
        "multi-adds": f"{network['multi_adds'] / 1e9:.1f} G for an output of 1280×720 px",
        "time": f"{speed['seconds_per_megapixel']:.3f} s for a megapixel of output ({speed['engine']}, "
        f"{speed['cores']} × {speed['processor']})",
        "trained on": training["data"],
        "recipe": f"{recipe}, {counted(training['steps'], 'step')}, commit {training['commit']}",
        "licence": card["licence"],
        "file": str(zoo.FOLDER / f"{card['name']}{zoo.WEIGHTS}"),
        "sha256": card["sha256"],
    }
    rows = [
        (
            score["set"],
            score["protocol"],
            score["method"],
            f"{score['psnr']:.3f} dB",
            f"{score['bicubic_psnr']:.3f} dB",
            f"{score['ssim']:.4f}",
        )
        for score in card["scores"]
    ]
    lines = [card["name"], *(f"  {label:<12}{text}" for label, text in facts.items())]
    return "\n".join([*lines, "", *(f"  {line}" for line in _aligned(_SCORES, rows).splitlines())])


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the function is imported here because its room loads NumPy and OpenCV."""
    return str(function_named("srtrain.evaluation.table:aligned")(head, rows))
