"""The parameters of a job become a command line."""

import pytest
from srtrain_plugins.modelarts.options import Options
from srtrain_plugins.modelarts.start import CHOICES, PLUGIN_PARAMETERS, REASONS, ROOT, ZOO, command_line

from srtrain.cli.main import read
from srtrain.recipe import Epochs, Spec


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


ZOO_PAGE = {
    "scale": "2", "config_path": "/local/EDSR/DIV2K_config.yaml", "device_target": "Ascend", "amp_level": "O3",
    "loss_scale": "512.0", "keep_checkpoint_max": "7", "save_epoch_frq": "100", "ckpt_save_dir": "./ckpt/",
    "epoch_size": "6000", "eval_epoch_frq": "20", "opt_type": "Adam", "weight_decay": "0.0", "learning_rate": "0.0002",
    "milestones": "[4000, 5000]", "gamma": "0.25", "dataset_name": "DIV2K", "lr_type": "bicubic", "batch_size": "2",
    "patch_size": "192", "dataset_sink_mode": "True", "pre_trained": "", "rgb_range": "255",
    "rgb_mean": "[0.4488, 0.4371, 0.4040]", "rgb_std": "[1.0, 1.0, 1.0]", "n_colors": "3", "n_feats": "256",
    "kernel_size": "3", "n_resblocks": "32", "res_scale": "0.1", "n_processes": "8", "self_ensemble": "False",
    "save_sr": "False",
}  # fmt: skip
"""Every parameter of the model zoo's README, as a job's page gives them."""


def test_every_parameter_of_the_model_zoo_is_taken_under_its_name():
    """The command line is parsed and checked as srtrain does it, so each key and each value is one that it knows."""
    words = command_line([f"--{name}={value}" for name, value in ZOO_PAGE.items()])
    assert words[:3] == ["launch", "-n", "8"]
    recipe = read(words[3:]).resolved
    assert (recipe.name, recipe.scale, recipe.device) == ("edsr_zoo_x2", 2, Spec("ascend"))
    assert (recipe.precision.name, recipe.precision.args["loss_scale"]) == ("O3", 512.0)
    assert (recipe.hooks["checkpoint"].args["keep"], recipe.hooks["checkpoint"].args["every"]) == (
        7,
        Epochs(100),
    )
    assert recipe.hooks["evaluate"].args["every"] == Epochs(20)
    assert recipe.optim.lr == 2e-4
    assert recipe.optim.schedule == Spec("milestones", at=(Epochs(4000), Epochs(5000)), gamma=0.25)
    assert (recipe.data.batch_size, recipe.data.gt_patch_px, recipe.train.epochs) == (16, 192, 6000)
    assert recipe.data.train.args["lr_type"] == "bicubic"
    assert recipe.model.args["rgb_mean"] == (0.4488, 0.4371, 0.4040)
    assert recipe.model.args["rgb_std"] == (1.0, 1.0, 1.0)
    assert (recipe.model.args["rgb_range"], recipe.model.args["n_colors"]) == (255, 3)
    assert (recipe.train.sink_steps, recipe.init_from) == (50, "")


def test_no_parameter_of_the_model_zoo_is_passed_on_unknown():
    taken = {
        *ZOO,
        *CHOICES,
        *PLUGIN_PARAMETERS,
        "scale",
        "config_path",
        "batch_size",
        "n_processes",
        "device_id",
    }
    assert set(ZOO_PAGE) <= taken
    assert CHOICES.keys() == REASONS.keys()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("config_path", "mine.yaml", "srtrain takes recipes instead of YAML files"),
        ("opt_type", "SGD", "opt_type = SGD is not supported: set optim.optimizer"),
        ("self_ensemble", "True", "it belongs to the evaluation: srtrain evaluate --method self-ensemble"),
        ("save_sr", "True", "srtrain evaluate --pictures"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_name(name, value, says):
    with pytest.raises(SystemExit, match=says):
        command_line(["--recipe=recipes/edsr_x2.py", f"--{name}={value}"])


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
