"""The command ``srtrain``: find the command, check its arguments, do the work, report errors.

A command is a module of ``srtrain/commands``, or a class that a plugin registers in ``COMMANDS``. It has

- ``HELP``: one line for ``srtrain --help``, and ``EXAMPLES``: the text below the options in its own help;
- ``add_arguments(parser)``;
- optionally ``check(args)``: reports mistakes that can be found without importing anything slow, and may add values
  to ``args``;
- ``run(args)``, which does the work and returns the exit code, or ``RUN``, the name of that function as
  ``"module:function"``. Its module is imported only after the whole command line was found to be right.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from srtrain import __version__, plugins
from srtrain.cli import COMMANDS, arguments
from srtrain.cli.completion import SHELLS, PrintCompletion
from srtrain.device.interrupt import end_on_ctrl_c
from srtrain.errors import (
    MACHINE_FAULTS,
    RecipeError,
    SrtrainError,
    UserError,
    cannot,
    did_you_mean,
    listing,
    masked,
)
from srtrain.registry import place_of

_PATH = find_spec(COMMANDS.package).submodule_search_locations  # type: ignore[union-attr]
BUILT_IN = tuple(module.name for module in pkgutil.iter_modules(_PATH))
"""The names of the built-in commands, which are the files in ``srtrain/commands``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return the exit code: 0, 1 for failures, 2 for mistakes of the user.

    Without ``argv`` this is the program of the process: Ctrl-C ends it at once, or lets a run stop with a checkpoint.
    """
    if argv is None:
        end_on_ctrl_c()  # before a command imports MindSpore
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    if not debug:  # hides MindSpore's internal warnings; its errors still show
        os.environ.setdefault("GLOG_v", "3")
    _distrust_working_folder()
    try:
        code = execute(read(words))
        sys.stdout.flush()
        return code
    except SrtrainError as error:
        if debug:
            print(masked(traceback.format_exc()), file=sys.stderr)
        report(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the program that reads our output, such as head, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (OSError, MemoryError) as error:
        fault = _last_resort(error)
        if fault is None:
            raise
        if debug:
            print(masked(traceback.format_exc()), file=sys.stderr)
        report(fault)
        _give_up_full_output()
        return fault.exit_code


def _last_resort(error: OSError | MemoryError) -> SrtrainError | None:
    """Return what to report for a fault of a file or of the machine that nothing else expected; ``None`` for a bug."""
    if isinstance(error, MemoryError):
        return SrtrainError(
            f"not enough memory: {error}. Close other programs, or give the command less to do."
        )
    if error.filename is None and error.errno not in MACHINE_FAULTS:
        return None
    return cannot(
        f"cannot read or write {_named(error)}" if error.filename else "cannot write", error, kind=UserError
    )


def _named(error: OSError) -> str:
    return " or ".join(
        repr(os.fsdecode(name))
        for name in (error.filename, error.filename2)
        if isinstance(name, (str, bytes))
    )


def _give_up_full_output() -> None:
    """Drop what standard output cannot take, which Python would try to write again at the end of the process."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _distrust_working_folder() -> None:
    """Import nothing from the working folder if it is a run folder or a checkpoint, which may be from someone else.

    ``python -m`` looks for modules there first.
    """
    with contextlib.suppress(FileNotFoundError):  # the folder was deleted
        here = Path.cwd()
        if (here / "recipe.json").exists() or (here / "state.json").exists():
            sys.path[:] = [place for place in sys.path if place and Path(place) != here]


def execute(args: argparse.Namespace) -> int:
    """Activate the plugins and run the command."""
    args.plugin = list(dict.fromkeys(plugins.activate(name, args.beside) for name in args.plugin))
    return int(function_named(args.run)(args))


def function_named(target: str | Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that ``module:name`` names; a function is returned as it is."""
    if callable(target):
        return target
    module, _, name = target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def read(words: Sequence[str]) -> argparse.Namespace:
    """Parse a command line and let the command check it.

    Raises:
        UserError: a mistake in the command line.
    """
    args = parse(words)
    if args.check is not None:
        args.check(args)
    return args


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command line. ``run`` among them does the work, and ``check`` may be ``None``."""
    known, words = arguments.common().parse_known_args(words)  # these options may stand anywhere
    words = words or ["--help"]
    commands = _commands(words[0], known.plugin)
    parser = _build_parser(commands)
    args, rest = parser.parse_known_args(arguments.separate_resume(words))
    overrides = [word for word in rest if "=" in word and not word.startswith("-")]
    if rest != overrides or (overrides and not hasattr(args, "overrides")):
        unknown = [word for word in rest if word not in overrides] or overrides
        parser.error(f"unknown {'argument' if len(unknown) == 1 else 'arguments'}: {' '.join(unknown)}")
    if overrides:  # argparse does not collect positional words that follow an option
        args.overrides = [*args.overrides, *overrides]
    args.plugin = [*known.plugin, *args.plugin]
    return args


def _commands(first: str, plugin_names: Sequence[str]) -> dict[str, Any]:
    """Return the commands to parse for; start-up is faster when a built-in command imports only its own module.

    Raises:
        RecipeError: there is no command ``first``.
    """
    if first in BUILT_IN:
        return {first: _built_in(first)}
    commands = {name: _built_in(name) for name in BUILT_IN} | plugin_commands(plugin_names)
    if not first.startswith("-") and first not in commands:
        raise RecipeError(
            f"there is no command {first!r}.{did_you_mean(first, commands)} Commands: {listing(commands)}. If a plugin "
            f"supplies it, add --plugin NAME."
        )
    return commands


def _built_in(name: str) -> Any:
    return importlib.import_module(f"{COMMANDS.package}.{name}")


def _build_parser(commands: Mapping[str, Any]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="srtrain", description="Super-resolution on MindSpore.", parents=[arguments.common()]
    )
    parser.add_argument("--version", action="version", version=f"srtrain {__version__}")
    parser.add_argument(
        "--print-completion",
        action=PrintCompletion,
        choices=SHELLS,
        help='print a script that completes words: eval "$(srtrain --print-completion bash)"',
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for name, command in commands.items():
        own = subparsers.add_parser(
            name,
            help=command.HELP,
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[arguments.common()],
        )
        command.add_arguments(own)
        run = command.RUN if hasattr(command, "RUN") else command.run
        own.set_defaults(run=run, check=getattr(command, "check", None), beside=None)
    return parser


def plugin_commands(names: Sequence[str]) -> dict[str, Any]:
    """Activate plugins and return the commands that they registered.

    Raises:
        RecipeError: there is no such plugin, or a command lacks a part or has the name of a built-in one.
    """
    for name in names:
        plugins.activate(name)
    commands = COMMANDS.additions()
    for name, command in commands.items():
        lacks = [part for part in ("HELP", "EXAMPLES", "add_arguments", "run") if not hasattr(command, part)]
        place = place_of(command)
        if name in BUILT_IN:
            raise RecipeError(f"the command {name!r} of {place} is built in already; register another name.")
        if lacks:
            raise RecipeError(
                f"the command {name!r} of {place} lacks {listing(lacks)}; see docs/new_plugin.md."
            )
    return commands


def report(error: BaseException) -> None:
    """Print one message, with the notes that were added on its way up, and without credentials."""
    lines = [f"error: {error}", *(f"  ({note})" for note in getattr(error, "__notes__", []))]
    print(masked("\n".join(lines)), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
