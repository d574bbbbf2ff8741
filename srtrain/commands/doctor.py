"""``srtrain doctor``: check this machine for problems."""

from __future__ import annotations

import argparse

from srtrain.cli import arguments

HELP = "check this machine for problems: versions, devices, ports, left processes, memory, disk"
EXAMPLES = """\
examples:
  srtrain doctor
  srtrain doctor --json | jq '.findings[] | select(.level != "ok")'
"""
RUN = "srtrain.jobs.doctor:run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how to print."""
    arguments.add_json(parser)
