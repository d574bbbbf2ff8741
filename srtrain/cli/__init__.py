"""The command line: parse the arguments, run one command, and report every error in the same way."""

from srtrain.registry import Registry

COMMANDS = Registry("command", "srtrain.commands")
"""The commands of plugins. A built-in command is a file in ``srtrain/commands`` and needs no registration."""
