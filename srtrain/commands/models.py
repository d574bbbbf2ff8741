"""``srtrain models [NAME …]``: list the built-in models, or print their cards."""

from __future__ import annotations

import argparse
import json
from typing import Any

from srtrain import zoo
from srtrain.cli import arguments
from srtrain.errors import counted
from srtrain.evaluation.table import aligned

HELP = "list the built-in models, or print their cards"
EXAMPLES = """\
examples:
  srtrain models                        every model with its scores and speed
  srtrain models edsr_small_x2          how it was trained, what it scores, what it costs, its licence
  srtrain infer edsr_small_x2 photo.jpg
"""
_HEAD = ("model", "scale", "PSNR", "benchmark", "parameters", "s/megapixel")
_SCORES = ("set", "protocol", "method", "PSNR", "bicubic", "SSIM")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the names."""
    parser.add_argument("names", metavar="NAME", nargs="*", help="models whose cards are printed")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print; return the exit code."""
    cards = [zoo.card_of(name) for name in args.names or zoo.names()]
    if args.json:
        print(json.dumps(cards, indent=2))
    elif args.names:
        print("\n\n".join(map(_text, cards)))
    else:
        print(aligned(_HEAD, [*map(_row, cards)]))
    return 0


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


def _text(card: dict[str, Any]) -> str:
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
    return "\n".join([*lines, "", *(f"  {line}" for line in aligned(_SCORES, rows).splitlines())])
