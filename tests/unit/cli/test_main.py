"""The commands that are found, ``--plugin`` at any position, and the commands that plugins add."""

import errno
import shutil
import subprocess
import sys

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


def test_the_value_of_plugin_is_not_taken_for_the_command():
    args = cli.parse(["--plugin", "run", "data", "check", "set5"])
    assert (args.plugin, args.action, args.words) == (["run"], "check", ["set5"])


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


def test_no_arguments_print_the_help(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main([])
    assert left.value.code == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.startswith("usage: srtrain ")
    listed = [
        line.split()[0] for line in shown.out.splitlines() if line.startswith("    ") and line[4] != " "
    ]
    assert set(cli.BUILT_IN) <= set(listed)


def test_a_plugin_alone_prints_the_help_with_its_commands(plugin, capsys):
    plugin("alone", COMMAND.format(name="alone"))
    with pytest.raises(SystemExit) as left:
        cli.main(["--plugin", "alone"])
    assert left.value.code == 0
    assert "greet somebody" in capsys.readouterr().out


EXAMPLES = {
    "blend": ["x", "y", "--at", "0.5", "--to", "z"],
    "certify": [],
    "convert": ["edsr-pytorch", "x.pt", "--to", "y"],
    "count": ["x.py"],
    "data": ["check", "set5"],
    "doctor": [],
    "explain": ["optim.lr"],
    "evaluate": ["bicubic", "--sets", "set5"],
    "export": ["x", "--to", "y.onnx"],
    "infer": ["x.onnx", "y.png"],
    "launch": ["-n", "2", "x.py"],
    "list": ["models"],
    "models": [],
    "plugins": [],
    "recipes": [],
    "run": ["x.py"],
    "verify": ["x.py", "--weights", "y"],
}


@pytest.mark.parametrize("name", cli.BUILT_IN)
def test_every_command_takes_plugins_before_and_after_it(name):
    words = [name, *EXAMPLES[name]]
    for line in (["--plugin", "a", *words], [*words, "--plugin", "a"], [name, "--plugin=a", *words[1:]]):
        args = cli.parse(line)
        assert args.plugin == ["a"]
        assert vars(args) | {"plugin": []} == vars(cli.parse(words))


def test_an_unknown_command_is_named_with_the_nearest(capsys):
    assert cli.main(["evalute", "x"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: there is no command 'evalute'. Did you mean 'evaluate'? Commands: ")
    assert message.endswith("If a plugin supplies it, add --plugin NAME.\n")


MISTAKES = [
    ["run", "nowhere.py"],
    ["run", "{quickstart}", "optim.lrr=1"],
    ["run", "{quickstart}", "--resume", "--overwrite"],
    ["verify", "{quickstart}", "benchmarks.chelsea=None", "--weights", "x"],
    ["count", "{quickstart}", "--output-px", "large"],
    ["convert", "edsr-pytorch", "runs/x", "--to", "weights/x"],
    ["blend", "x", "y", "--at", "1.5", "--to", "z"],
    ["data", "check", "set5="],
    ["data", "bicubic", "x", "--scale", "1"],
    ["evaluate", "--sets", "set5"],
    ["doctor", "--dry-run", "nowhere.py"],
    ["certify", "--steps", "1"],
    ["evaluate", "bicubic", "--sets", "set5", "--protocol", "paper_x"],
    ["export", "nowhere", "--to", "x.onnx"],
    ["export", ".", "--to", "x.onxx"],
    ["infer", "x.onnx", "y.png", "--quality", "0"],
    ["launch", "-n", "2", "{quickstart}", "optim.lrr=1"],
    ["launch", "{quickstart}"],
]


def test_mistakes_are_found_before_mindspore_is_loaded(repo_root, tmp_path):
    """In one fresh process, because importing MindSpore cannot be undone."""
    quickstart = str(repo_root / "recipes" / "quickstart.py")
    lines = [[word.format(quickstart=quickstart) for word in words] for words in MISTAKES]
    script = (
        "import sys\nfrom srtrain.cli.main import main\n"
        f"for words in {lines!r}:\n"
        "    code = main(words)\n"
        "    assert code == 2 and 'mindspore' not in sys.modules, (words, code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stderr.count("error: ")) == (0, len(lines)), done.stderr


def test_the_help_imports_nothing_heavy():
    script = (
        "import sys\nfrom srtrain.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'mindspore', 'numpy', 'scipy', 'cv2', 'numba', 'onnx', 'psutil', 'typeguard', 'packaging'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_new_command_is_one_new_file(repo_root, tmp_path):
    """In a copy of the command line's room, with a command of its own."""
    shutil.copytree(repo_root / "srtrain", tmp_path / "srtrain", ignore=shutil.ignore_patterns("__pycache__"))
    text = "HELP, EXAMPLES = 'say hello', ''\ndef add_arguments(parser): pass\n"
    text += "def run(args): print('hello'); return 3\n"
    (tmp_path / "srtrain" / "commands" / "hello.py").write_text(text)
    script = "import sys; from srtrain.cli.main import main; sys.exit(main(sys.argv[1:]))"
    for words, code, shown in ((["hello"], 3, "hello\n"), (["--help"], 0, "hello say hello")):
        done = subprocess.run(
            [sys.executable, "-c", script, *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path)},
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert " ".join(shown.split()) in " ".join(done.stdout.split())


class Failing:
    HELP, EXAMPLES = "fail", ""

    @staticmethod
    def add_arguments(parser):
        parser.add_argument("file")

    @staticmethod
    def run(args):
        with open(args.file, "rb") as file:  # noqa: PTH123 - pathlib hides some of these faults
            file.read()


def test_a_fault_of_a_file_that_nothing_expected_names_the_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(cli.COMMANDS._entries, "failing", Failing)
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    reasons = {
        "folder": "Is a directory",
        "loop": "Too many levels of symbolic links",
        "folder/gone": "No such file or directory",
        "n" * 300: "File name too long",
    }
    for name, reason in reasons.items():
        assert cli.main(["failing", str(tmp_path / name)]) == 2
        assert capsys.readouterr().err == f"error: cannot read or write {str(tmp_path / name)!r}: {reason}.\n"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x.ckpt"), 1, "'x.ckpt': No space left on device"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "cannot write: No space left on device"),
        (
            OSError(errno.EXDEV, "Invalid link", "a.part", None, "b.png"),
            2,
            "'a.part' or 'b.png': Invalid link",
        ),
        (MemoryError("64 GB"), 1, "not enough memory: 64 GB. Close other programs"),
    ],
)
def test_a_fault_of_the_machine_ends_with_1(monkeypatch, capsys, error, code, said):
    def fail(args):
        raise error

    monkeypatch.setattr(Failing, "run", fail)
    monkeypatch.setitem(cli.COMMANDS._entries, "failing", Failing)
    assert cli.main(["failing", "x"]) == code
    assert said in capsys.readouterr().err


def test_a_bug_is_no_fault_of_a_file(monkeypatch):
    def fail(args):
        raise OSError("a bug")

    monkeypatch.setattr(Failing, "run", fail)
    monkeypatch.setitem(cli.COMMANDS._entries, "failing", Failing)
    with pytest.raises(OSError, match="a bug"):
        cli.main(["failing", "x"])
