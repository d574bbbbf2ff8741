"""``srtrain list KIND``: list the registered names of a kind."""

from __future__ import annotations

import argparse

HELP = "list registered names: models, blocks, losses, hooks, …"
EXAMPLES = """\
examples:
  srtrain list models
  srtrain list hooks --plugin esr       with those of a plugin
  srtrain explain hooks.ema             what one of them does, and its arguments
"""
RUN = "srtrain.jobs.explain:list_names"

KINDS = ("models", "blocks", "losses", "hooks", "schedules", "engines", "protocols", "datasets")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the kind."""
    parser.add_argument("kind", metavar="KIND", choices=KINDS, help=f"one of {', '.join(KINDS)}")
