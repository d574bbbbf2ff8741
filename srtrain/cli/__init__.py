"""The command line: parse it, run one command, report errors in one way."""

from srtrain.registry import Registry

COMMANDS = Registry("command", "srtrain.commands")
