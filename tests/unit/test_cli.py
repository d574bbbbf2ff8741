"""``--plugin`` at any position, and the commands that plugins add."""

import pytest

from srtrain.cli import main as cli

COMMAND = """
from srtrain.cli import COMMANDS

@COMMANDS.register({name!r})
class Command:
    HELP = "greet somebody"
    EXAMPLES = "examples: greet"

    @staticmethod
    def add_arguments(parser):
        parser.add_argument("who")

    @staticmethod
    def run(args):
        print("hello", args.who, "from", *args.plugin)
        return 7
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    def make(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        return name

    return make


@pytest.mark.parametrize(
    "words",
    [
        ["--plugin", "greeter", "greet", "you"],
        ["greet", "you", "--plugin", "greeter"],
        ["greet", "--plugin=greeter", "you"],
    ],
)
def test_a_plugins_command_runs_wherever_the_plugin_is_named(plugin, capsys, words):
    plugin("greeter", COMMAND.format(name="greet"))
    assert cli.main(words) == 7
    assert capsys.readouterr().out == "hello you from greeter\n"


def test_a_plugins_command_stands_in_the_help(plugin, capsys):
    plugin("helper", COMMAND.format(name="wave"))
    with pytest.raises(SystemExit) as left:
        cli.main(["--plugin", "helper", "--help"])
    assert left.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split(maxsplit=1) == ["wave", "greet somebody"] for line in lines)
    assert any(line.split()[:1] == ["run"] for line in lines)


def test_a_plugin_before_a_built_in_command_is_handed_to_it():
    args = cli.parse(["--plugin", "a", "--plugin=b", "run", "recipe.py", "--plugin", "c", "--resume", "x=1"])
    assert args.plugin == ["a", "b", "c"]
    assert (args.recipe, args.resume, args.overrides) == ("recipe.py", "auto", ["x=1"])


def test_the_value_of_plugin_is_no_command():
    assert cli.split_at_command(["--plugin", "run", "data", "check"]) == (
        ["--plugin", "run"],
        ["data", "check"],
    )


def test_an_unknown_plugin_of_a_command_is_one_message(capsys):
    assert cli.main(["--plugin", "nobody_has_this", "hello"]) == 2
    assert capsys.readouterr().err.startswith("error: there is no plugin 'nobody_has_this'.")


def test_a_command_that_is_built_in_or_not_whole_is_refused(plugin, capsys, monkeypatch):
    monkeypatch.setattr("srtrain.cli.COMMANDS._entries", {})
    plugin("thief", COMMAND.format(name="run"))
    assert cli.main(["--plugin", "thief", "anything"]) == 2
    assert "the command 'run' of " in (message := capsys.readouterr().err)
    assert message.endswith("thief.py:4 is built in already; register another name.\n")
    monkeypatch.setattr("srtrain.cli.COMMANDS._entries", {})
    plugin(
        "half",
        "from srtrain.cli import COMMANDS\n@COMMANDS.register('half')\nclass Half:\n    HELP = ''\n",
    )
    assert cli.main(["--plugin", "half", "half"]) == 2
    assert "lacks EXAMPLES, add_arguments, run; see docs/new_plugin.md." in capsys.readouterr().err
