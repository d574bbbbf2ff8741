"""The command ``srtrain``: one subcommand a file in ``srtrain/commands``, and one way to report errors."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from srtrain import __version__
from srtrain.errors import SrtrainError

COMMANDS = ("run", "data")
"""Modules of ``srtrain.commands``: each has HELP, EXAMPLES, ``add_arguments(parser)`` and ``run(args) -> int``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return the exit code: 0, 1 for failures, 2 for the user's mistakes."""
    debug = argparse.ArgumentParser(add_help=False)
    debug.add_argument("--debug", action="store_true", help="show the traceback of an error")
    words = list(sys.argv[1:] if argv is None else argv)
    known, words = debug.parse_known_args(words)  # wherever it stands
    return execute(build_parser(words), words, known.debug)


def build_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser for a command line. Only the command it names is imported: start-up counts."""
    parser = argparse.ArgumentParser(prog="srtrain", description="Super-resolution on MindSpore.")
    parser.add_argument("--version", action="version", version=f"srtrain {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name in (chosen,) if chosen in COMMANDS else COMMANDS:
        command = importlib.import_module(f"srtrain.commands.{name}")
        own = subparsers.add_parser(
            name,
            help=command.HELP,
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        own.set_defaults(run=command.run)
        command.add_arguments(own)
    return parser


def execute(parser: argparse.ArgumentParser, argv: Sequence[str], debug: bool) -> int:
    """Parse and run; turn an expected error into one message and its exit code."""
    args, rest = parser.parse_known_args(resume_is_auto(argv))
    overrides = [word for word in rest if "=" in word and not word.startswith("-")]
    if rest != overrides or (overrides and not hasattr(args, "overrides")):
        unknown = [word for word in rest if word not in overrides] or overrides
        parser.error(f"unknown argument(s): {' '.join(unknown)}")
    if overrides:  # argparse gives up on positionals that follow an option
        args.overrides = [*args.overrides, *overrides]
    if not debug:  # MindSpore's warnings are about its own insides; errors still show
        os.environ.setdefault("GLOG_v", "3")
    try:
        code = int(args.run(args))
        sys.stdout.flush()
        return code
    except SrtrainError as error:
        if debug:
            traceback.print_exc()
        report(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def resume_is_auto(argv: Sequence[str]) -> list[str]:
    """Write ``--resume`` as ``--resume=auto`` where the next word cannot be a checkpoint.

    Otherwise argparse would take a recipe or an override that follows for its value.
    """
    words = list(argv)
    for i, word in enumerate(words):
        after = words[i + 1] if i + 1 < len(words) else ""
        if word == "--resume" and (
            not after or after.startswith("-") or after.endswith(".py") or "=" in after
        ):
            words[i] = "--resume=auto"
    return words


def report(error: BaseException) -> None:
    """Print one message, with the notes that were added on its way up."""
    lines = [f"error: {error}", *(f"  ({note})" for note in getattr(error, "__notes__", []))]
    print("\n".join(lines), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
