"""The parameters of a job become a command line."""

import pytest
from srtrain_plugins.modelarts.options import Options
from srtrain_plugins.modelarts.start import PLUGIN_PARAMETERS, ROOT, command_line


def test_the_parameters_of_a_job_become_overrides(repo_root):
    words = command_line(
        [
            "--recipe=recipes/edsr_x2.py",
            "--data_url",
            "obs://b/DIV2K",
            "--train_url=obs://b/runs",
            "--need_unzip_files=('a.zip',)",
            "--pre_trained=obs://b/x2=1.ckpt",
            "--train.steps=7",
            "--resume",
        ]
    )
    assert words == [
        "run",
        str(repo_root / "recipes" / "edsr_x2.py"),
        "--resume",
        "--plugin",
        "modelarts",
        "hooks.modelarts=modelarts",
        "hooks.modelarts.data_url=obs://b/DIV2K",
        "hooks.modelarts.train_url=obs://b/runs",
        "hooks.modelarts.need_unzip_files=('a.zip',)",
        "init_from=obs://b/x2=1.ckpt",
        "train.steps=7",
        "hooks.modelarts.enable_modelarts=True",
    ]
    assert repo_root == ROOT


def test_a_recipe_of_ones_own_and_a_plugin_that_is_off():
    words = command_line(["--enable_modelarts=False", "--recipe=/mine/recipe.py"])
    assert words[1] == "/mine/recipe.py"
    assert "hooks.modelarts.enable_modelarts=False" in words
    assert "hooks.modelarts.enable_modelarts=True" not in words


def test_several_processes_are_launched():
    one = command_line(["--recipe=r.py", "--a.b=1"])
    assert command_line(["--recipe=r.py", "--n_processes=8", "--a.b=1"]) == ["launch", "-n", "8", *one]


def test_the_plugins_parameters_are_its_options():
    assert tuple(Options.__dataclass_fields__) == PLUGIN_PARAMETERS


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--data_url=x"], "the job has no parameter recipe"),
        (["--recipe=x", "loose"], "'loose' is no parameter; write --key=value"),
        (["--recipe=x", "--data_url"], "the parameter '--data_url' has no value"),
    ],
)
def test_mistakes(words, says):
    with pytest.raises(SystemExit, match=says):
        command_line(words)
