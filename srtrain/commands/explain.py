"""``srtrain explain [WORD …]``: describe the keys of recipes, registered names, and recipes."""

from __future__ import annotations

import argparse

HELP = "describe keys of recipes, registered names, and recipes"
EXAMPLES = """\
examples:
  srtrain explain                       every key in one line
  srtrain explain optim.lr data         a key, and a group of keys
  srtrain explain hooks.ema model=edsr  a name with its arguments
  srtrain explain model.n_feats         an argument of every model that takes it
  srtrain explain edsr_zoo_x2           a recipe: its text and every value that is not the default
  srtrain explain hooks=esr_search --plugin esr
"""
RUN = "srtrain.jobs.explain:run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words to explain."""
    parser.add_argument(
        "words",
        metavar="KEY|NAME",
        nargs="*",
        help="a key, KEY=NAME, a registered name, or a recipe: its name, its file or a run folder",
    )
    parser.add_argument("overrides", metavar="KEY=NAME", nargs="*", help=argparse.SUPPRESS)
