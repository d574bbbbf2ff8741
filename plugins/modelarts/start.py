"""The start-up file of a ModelArts job. It turns the parameters of the job into a command line of srtrain.

    python start.py --recipe=recipes/edsr_x2.py --data_url=obs://bucket/DIV2K --train_url=obs://bucket/runs
        --need_unzip_in_modelarts=True --train.steps=300000 --resume

The parameters of the plugin keep their names, and those of the model zoo's DIV2K_config.yaml are translated (see ZOO).
``n_processes`` is the number of cards. Every other ``--key=value`` is an override of the recipe. ``enable_modelarts``
is True by default. Without ``recipe``, ``scale`` chooses the model zoo's recipe.
"""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PLUGIN_PARAMETERS = (
    "enable_modelarts",
    "data_url",
    "train_url",
    "checkpoint_url",
    "need_unzip_in_modelarts",
    "need_unzip_files",
    "data_path",
    "output_path",
)
ZOO = {
    "pre_trained": "init_from",
    "device_id": "device.id",
    "amp_level": "precision",
    "loss_scale": "precision.loss_scale",
    "keep_checkpoint_max": "hooks.checkpoint.keep",
    "save_epoch_frq": "hooks.checkpoint.every=ep",
    "epoch_size": "train.epochs",
    "eval_epoch_frq": "hooks.evaluate.every=ep",
    "weight_decay": "optim.optimizer.weight_decay",
    "learning_rate": "optim.lr",
    "milestones": "optim.schedule.at=ep",
    "gamma": "optim.schedule.gamma",
    "lr_type": "data.train.lr_type",
    "patch_size": "data.gt_patch_px",
    "rgb_range": "model.rgb_range",
    "rgb_mean": "model.rgb_mean",
    "rgb_std": "model.rgb_std",
    "n_colors": "model.n_colors",
    "n_feats": "model.n_feats",
    "kernel_size": "model.kernel_px",
    "n_resblocks": "model.n_resblocks",
    "res_scale": "model.res_scale",
}
"""Parameters of the model zoo and their keys in a recipe; ``=ep`` marks numbers of epochs."""
CHOICES = {
    "opt_type": {"Adam": "optim.optimizer=adam"},
    "device_target": {"Ascend": "device=ascend", "CPU": "device=cpu"},
    "dataset_name": {"DIV2K": ""},
    "dataset_sink_mode": {"True": "train.sink_steps=50", "False": "train.sink_steps=1"},
    "ckpt_save_dir": {"./ckpt/": ""},
    "self_ensemble": {"False": ""},
    "save_sr": {"False": ""},
}
"""Parameters of the model zoo with the values that are accepted, and the override that each becomes."""
REASONS = {
    "opt_type": "set optim.optimizer instead, such as optim.optimizer = adamw",
    "device_target": "the recipe's key is device",
    "dataset_name": "set data.train instead, such as data.train = folder",
    "dataset_sink_mode": "it is True or False",
    "ckpt_save_dir": "checkpoints are in the folder checkpoints/ of output_path/NAME",
    "self_ensemble": "it belongs to the evaluation: srtrain evaluate --method self-ensemble",
    "save_sr": "it belongs to the evaluation: srtrain evaluate --pictures --to FOLDER",
}
FLAGS = ("--resume", "--overwrite", "--print-config", "--print-hooks", "--debug")
ROOT = Path(__file__).resolve().parents[2]


def command_line(words: Sequence[str]) -> list[str]:
    """Return the arguments of ``srtrain`` for the parameters of a job."""
    given, flags = parameters(words)
    recipe = given.pop("recipe", "")
    config = given.pop("config_path", "")
    if config and Path(config).name != "DIV2K_config.yaml":
        sys.exit(
            f"start.py: config_path = {config!r} cannot be read: srtrain takes recipes instead of YAML files. "
            f"Set recipe, and give what differs as parameters of the job, by the names of the YAML file."
        )
    if not recipe and given.get("scale") in ("2", "3", "4"):
        recipe = f"recipes/edsr_zoo_x{given.pop('scale')}.py"
    if not recipe:
        sys.exit(
            "start.py: the job has no parameter recipe; add it, such as recipe = recipes/edsr_x2.py, or scale = 2"
        )
    n_processes = given.pop("n_processes", "")
    given.setdefault("enable_modelarts", "True")
    overrides = ["hooks.modelarts=modelarts"]
    # The name of a schedule, precision or optimizer comes before its arguments, because it replaces all of them.
    for name, value in sorted(
        given.items(), key=lambda item: item[0] not in ("amp_level", "milestones", "opt_type")
    ):
        overrides += translated(name, value, int(n_processes or 1))
    inside = ROOT / recipe
    plugins = ["--plugin", "modelarts", *(["--plugin", "ascend"] if "device=ascend" in overrides else [])]
    run = ["run", str(inside if inside.is_file() else recipe), *flags, *plugins, *overrides]
    return ["launch", "-n", n_processes, *run] if n_processes else run


def translated(name: str, value: str, n_processes: int) -> list[str]:
    """Return the overrides for one parameter; one of the model zoo's is translated or refused by its name."""
    if name in PLUGIN_PARAMETERS:
        return [f"hooks.modelarts.{name}={value}"]
    if name == "batch_size":  # the model zoo's is that of one card
        return [f"data.batch_size={int(value) * n_processes}"]
    if name in CHOICES:
        if value not in CHOICES[name]:
            sys.exit(
                f"start.py: {name} = {value} is not supported: {REASONS[name]}. Accepted: {', '.join(CHOICES[name])}."
            )
        return [CHOICES[name][value]] if CHOICES[name][value] else []
    if name == "pre_trained" and value in ("", "''"):
        return []
    key, _, unit = ZOO.get(name, name).partition("=")
    if not unit:
        return [f"{key}={_tuple(value) if name in ZOO else value}"]
    if name == "milestones":
        epochs = ast.literal_eval(value)
        return ["optim.schedule=milestones", f"{key}=({', '.join(f'{n}ep' for n in epochs)},)"]
    return [f"{key}={value}{unit}"]


def _tuple(value: str) -> str:
    """Write a list of YAML as a tuple."""
    return f"({value[1:-1]},)" if value.startswith("[") and value.endswith("]") else value


def parameters(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the parameters (``--key=value`` or ``--key value``) as a dict, and the flags, which have no value."""
    given: dict[str, str] = {}
    flags = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        key, equals, value = word.removeprefix("--").partition("=")
        if word in FLAGS:
            flags.append(word)
        elif not word.startswith("--"):
            sys.exit(f"start.py: {word!r} is no parameter; write --key=value")
        elif equals or rest:
            given[key] = value if equals else rest.pop(0)
        else:
            sys.exit(f"start.py: the parameter {word!r} has no value; write {word}=VALUE")
    return given, flags


if __name__ == "__main__":
    if importlib.util.find_spec("srtrain") is None:
        subprocess.run([sys.executable, "-m", "pip", "install", f"{ROOT}[ascend,modelarts]"], check=True)
    from srtrain.cli.main import main

    sys.exit(main(command_line(sys.argv[1:])))
