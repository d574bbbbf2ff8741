"""The command ``srtrain``: one subcommand a file in ``srtrain/commands``, and one way to report errors."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from srtrain import __version__
from srtrain.commands import data, run
from srtrain.errors import SrtrainError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return the exit code: 0, 1 for failures, 2 for the user's mistakes."""
    debug = argparse.ArgumentParser(add_help=False)
    debug.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser = argparse.ArgumentParser(prog="srtrain", description="Super-resolution on MindSpore.")
    parser.add_argument("--version", action="version", version=f"srtrain {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (run, data):
        command.add_parser(subparsers)
    words = list(sys.argv[1:] if argv is None else argv)
    known, words = debug.parse_known_args(words)  # wherever it stands
    return execute(parser, words, known.debug)


def execute(parser: argparse.ArgumentParser, argv: Sequence[str], debug: bool) -> int:
    """Parse and run; turn an expected error into one message and its exit code."""
    args, rest = parser.parse_known_args(run.resume_is_auto(argv))
    overrides = [word for word in rest if "=" in word and not word.startswith("-")]
    if rest != overrides or (overrides and not hasattr(args, "overrides")):
        unknown = [word for word in rest if word not in overrides] or overrides
        parser.error(f"unknown argument(s): {' '.join(unknown)}")
    if overrides:  # argparse gives up on positionals that follow an option
        args.overrides = [*args.overrides, *overrides]
    if not debug:  # MindSpore's warnings are about its own insides; errors still show
        os.environ.setdefault("GLOG_v", "3")
    try:
        return int(args.run(args))
    except SrtrainError as error:
        if debug:
            traceback.print_exc()
        report(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def report(error: BaseException) -> None:
    """Print one message, with the notes that were added on its way up."""
    lines = [f"error: {error}", *(f"  ({note})" for note in getattr(error, "__notes__", []))]
    print("\n".join(lines), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
