"""``srtrain models [NAME …]``: list the built-in models, or print their cards."""

from __future__ import annotations

import argparse
import json

from srtrain import zoo
from srtrain.cli import arguments
from srtrain.commands.models.card import table_of, text_of

HELP = "list the built-in models, or print their cards"
EXAMPLES = """\
examples:
  srtrain models                        every model with its scores and speed
  srtrain models edsr_small_x2          how it was trained, what it scores, what it costs, its licence
  srtrain infer edsr_small_x2 photo.jpg
"""


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
        print("\n\n".join(map(text_of, cards)))
    else:
        print(table_of(cards))
    return 0
