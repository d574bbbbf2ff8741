"""``srtrain --print-completion SHELL``: a script that completes commands, options and files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

SHELLS = ("bash", "zsh", "tcsh")
_OF_FILES = ("PATH", "FILE", "FOLDER", "RECIPE", "MODEL", "INPUT", "RUN", "CHECKPOINT", "ZIP", "ROOT")
"""Words of a metavar that stand for a file or a folder."""


class PrintCompletion(argparse.Action):
    """Prints the script and ends the program."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: Any = None
    ) -> None:
        """Print the script for the shell ``values``."""
        import shtab  # needed here only

        for action in _actions(parser):
            if action.nargs != 0 and any(word in str(action.metavar) for word in _OF_FILES):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
        print(shtab.complete(parser, values))
        parser.exit()


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for own in action.choices.values():
                yield from _actions(own)
