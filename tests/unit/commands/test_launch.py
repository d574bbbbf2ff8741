"""The options of launch and their errors. tests/integration/test_distributed.py starts real processes."""

import json
from pathlib import Path

import pytest

from srtrain.cli.main import main, parse
from srtrain.commands import launch
from srtrain.errors import DeviceError, RecipeError, UserError
from srtrain.jobs.launch import Asked, make_plan
from srtrain.launch import rank_table

RECIPE = """
from srtrain.recipe import *
def recipe():
    return Recipe(name="mine", scale=2, model=Spec("edsr"), train=Train(steps=3))
"""


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(RECIPE)
    return str(file)


def plan(*words, table=None):
    args = parse(["launch", *words, "x.py"])
    asked = Asked(args.n_processes, args.n_nodes, args.node_rank, args.master)
    return make_plan(asked, table, Path("logs"), args.join_seconds)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["x.py", "optim.lr=1e-3", "--resume"], ["run", "x.py", "optim.lr=1e-3", "--resume"]),
        (["run", "x.py"], ["run", "x.py"]),
        (["evaluate", "runs/x", "--json"], ["evaluate", "runs/x", "--json"]),
    ],
)
def test_a_recipe_means_run(words, command):
    assert launch.command_of(words) == command


def test_a_run_folder_means_run_and_plugins_follow_the_command(tmp_path):
    assert launch.command_of([str(tmp_path)], ["mine"]) == ["run", "--plugin", "mine", str(tmp_path)]
    assert launch.command_of(["search", "x"], ["mine"]) == [
        "search",
        "--plugin",
        "mine",
        "x",
    ]  # a plugin's command


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "no command to run. Give a recipe, a run folder, or a command: .*, run, verify"),
        (["evalute", "x"], "'evalute' is not a recipe .* or a command\\. Did you mean 'evaluate'\\?"),
        (["launch", "x.py"], "'launch' is not a recipe"),
    ],
)
def test_what_cannot_be_launched_says_so(words, says):
    with pytest.raises(RecipeError, match=says):
        launch.command_of(words)


def log_dir_of(words):
    return launch.log_dir_of(words, launch.run_dir_of(words))


def test_logs_are_in_the_run_folder(recipe, tmp_path):
    folder = log_dir_of(["run", "--resume", recipe, f"run_dir={tmp_path}/here", "optim.lr=1"])
    assert folder.parent == tmp_path / "here" / "launch"
    assert log_dir_of(["run", recipe]).parent == Path("runs/mine/launch")
    assert log_dir_of(["evaluate", "runs/x", "--sets", "set5"]).parent == Path("runs/launch")
    with pytest.raises(UserError, match=r"unknown key 'optim\.lrr'"):
        log_dir_of(["run", recipe, "optim.lrr=1"])


def test_one_machine_finds_its_own_port():
    made = plan("-n", "4")
    assert (made.world_size, made.host, list(made.ranks), made.rank_table) == (
        4,
        "127.0.0.1",
        [0, 1, 2, 3],
        "",
    )
    assert made.port >= 1024


def test_several_machines_agree_on_one():
    made = plan("-n", "4", "--nodes", "2", "--node-rank", "1", "--master", "127.0.0.1")
    assert (made.world_size, made.host, made.port, list(made.ranks)) == (8, "127.0.0.1", 8118, [4, 5, 6, 7])
    assert plan("-n", "1", "--nodes", "2", "--node-rank", "0", "--master", "127.0.0.1:9000").port == 9000


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "the number of processes is missing. Give -n N (one process per device), or a rank table."),
        (("-n", "0"), "-n 0 and --nodes 1 must be 1 or more."),
        (("-n", "2", "--nodes", "2"), "--nodes 2 needs --node-rank K (0 to 1) and --master HOST[:PORT]."),
        (
            ("-n", "2", "--node-rank", "1"),
            "--node-rank 1 does not exist: the number of machines is 1, and they count from 0.",
        ),
        (
            ("-n", "2", "--nodes", "2", "--node-rank", "0", "--master", "127.0.0.1:80"),
            "--master '127.0.0.1:80': the port must be a number from 1024 to 65535.",
        ),
    ],
)
def test_options_that_cannot_be_are_refused(words, says):
    with pytest.raises(DeviceError) as caught:
        plan(*words)
    assert str(caught.value) == says


def test_a_rank_table_says_how_many_and_where():
    table = rank_table.make(["10.0.0.1:0-1", "127.0.0.1:4,6"], [f"192.168.1.{i}" for i in range(4)])
    made = plan(table=table)
    assert (made.n_processes, made.n_nodes, made.node_rank, made.host) == (2, 2, 1, "10.0.0.1")
    assert made.devices == "4,6"
    assert made.rank_table == str(Path("rank table").absolute())
    with pytest.raises(DeviceError, match=r"-n 8 contradicts the rank table rank table, which has 2\."):
        plan("-n", "8", table=table)


def test_a_rank_table_is_written(tmp_path, capsys):
    file = tmp_path / "hccl.json"
    words = [
        "launch",
        "rank-table",
        "--servers",
        "10.0.0.1:0-1",
        "--device-ips",
        "192.168.1.1",
        "192.168.1.2",
    ]
    assert main([*words, "--to", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: 1 server, 2 devices\n"
    assert len(rank_table.read(file).servers[0].devices) == 2
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(file.read_text())


def test_a_broken_rank_table_stops_before_anything_starts(recipe, tmp_path, capsys, monkeypatch):
    (tmp_path / "hccl.json").write_text("{}")
    monkeypatch.setenv("RANK_TABLE_FILE", str(tmp_path / "hccl.json"))
    assert main(["launch", "-n", "2", recipe]) == 2
    assert "'server_list' is missing." in capsys.readouterr().err
