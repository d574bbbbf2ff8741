"""The command ``srtrain``: one subcommand a file in ``srtrain/commands``, and one way to report errors."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from srtrain import __version__
from srtrain.cli import COMMANDS
from srtrain.errors import RecipeError, SrtrainError, listing

_PATH = find_spec(COMMANDS.package).submodule_search_locations  # type: ignore[union-attr]
BUILT_IN = tuple(module.name for module in pkgutil.iter_modules(_PATH))
"""Modules of ``srtrain.commands``: each has HELP, EXAMPLES, ``add_arguments(parser)`` and ``run(args) -> int``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return the exit code: 0, 1 for failures, 2 for the user's mistakes."""
    debug = argparse.ArgumentParser(add_help=False)
    debug.add_argument("--debug", action="store_true", help="show the traceback of an error")
    words = list(sys.argv[1:] if argv is None else argv)
    known, words = debug.parse_known_args(words)  # wherever it stands
    return execute(words, known.debug)


def execute(words: Sequence[str], debug: bool) -> int:
    """Parse and run; turn an expected error into one message and its exit code."""
    if not debug:  # MindSpore's warnings are about its own insides; errors still show
        os.environ.setdefault("GLOG_v", "3")
    try:
        args = parse(words)
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


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command line; ``run`` among them is the function to call."""
    before, after = split_at_command(words)
    if after and after[0] in BUILT_IN:  # only the command it names is imported: start-up counts
        commands = {after[0]: importlib.import_module(f"srtrain.commands.{after[0]}")}
        plugins, before = take_plugins(before)
        words = [*before, after[0], *(word for name in plugins for word in ("--plugin", name)), *after[1:]]
    else:
        commands = {name: importlib.import_module(f"srtrain.commands.{name}") for name in BUILT_IN}
        plugins, words = take_plugins(words)
        commands |= plugin_commands(plugins)
    parser = build_parser(commands, plugins)
    args, rest = parser.parse_known_args(resume_is_auto(words))
    overrides = [word for word in rest if "=" in word and not word.startswith("-")]
    if rest != overrides or (overrides and not hasattr(args, "overrides")):
        unknown = [word for word in rest if word not in overrides] or overrides
        parser.error(f"unknown argument(s): {' '.join(unknown)}")
    if overrides:  # argparse gives up on positionals that follow an option
        args.overrides = [*args.overrides, *overrides]
    return args


def build_parser(commands: Mapping[str, Any], plugins: Sequence[str]) -> argparse.ArgumentParser:
    """Return a parser for these commands; a command without an option ``--plugin`` finds the names all the same."""
    parser = argparse.ArgumentParser(prog="srtrain", description="Super-resolution on MindSpore.")
    parser.add_argument("--version", action="version", version=f"srtrain {__version__}")
    parser.add_argument(
        "--plugin", metavar="NAME", help="a plugin, whose commands join those below; repeatable"
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in commands.items():
        own = subparsers.add_parser(
            name,
            help=command.HELP,
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(own)
        own.set_defaults(run=command.run, **({} if name in BUILT_IN else {"plugin": plugins}))
    return parser


def split_at_command(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the options before the command, and the command with all that follows."""
    n_before = 0
    while n_before < len(words) and words[n_before].startswith("-"):
        n_before += 2 if words[n_before] == "--plugin" else 1
    return list(words[:n_before]), list(words[n_before:])


def take_plugins(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names given by ``--plugin``, and the other words."""
    parser = argparse.ArgumentParser(prog="srtrain", add_help=False, allow_abbrev=False)
    parser.add_argument("--plugin", action="append", default=[])
    known, others = parser.parse_known_args(words)
    return known.plugin, others


def plugin_commands(names: Sequence[str]) -> dict[str, Any]:
    """Activate plugins and return the commands that are registered then.

    Raises:
        RecipeError: no such plugin, or a command that has the name of a built-in one or is not whole.
    """
    if not names:
        return {}
    from srtrain import plugins, registry

    for name in names:
        plugins.activate(name)
    commands = COMMANDS.additions()
    for name, command in commands.items():
        lacks = [part for part in ("HELP", "EXAMPLES", "add_arguments", "run") if not hasattr(command, part)]
        place = registry.place_of(command)
        if name in BUILT_IN:
            raise RecipeError(f"the command {name!r} of {place} is built in already; register another name.")
        if lacks:
            raise RecipeError(
                f"the command {name!r} of {place} lacks {listing(lacks)}; see docs/new_plugin.md."
            )
    return commands


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
