"""The start-up file of a ModelArts job. It turns the parameters of the job into a command line of srtrain.

    python start.py --recipe=recipes/edsr_x2.py --data_url=obs://bucket/DIV2K --train_url=obs://bucket/runs
        --need_unzip_in_modelarts=True --train.steps=300000 --resume

The parameters of the plugin keep their names. ``pre_trained`` becomes ``init_from``. ``n_processes`` is the number of
cards. Every other ``--key=value`` is an override of the recipe. ``enable_modelarts`` is True by default.
"""

from __future__ import annotations

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
FLAGS = ("--resume", "--overwrite", "--print-config", "--print-hooks", "--debug")
ROOT = Path(__file__).resolve().parents[2]


def command_line(words: Sequence[str]) -> list[str]:
    """Return the arguments of ``srtrain`` for the parameters of a job."""
    given, flags = parameters(words)
    recipe = given.pop("recipe", "")
    if not recipe:
        sys.exit("start.py: the job has no parameter recipe; add it, such as recipe = recipes/edsr_x2.py")
    n_processes = given.pop("n_processes", "")
    given.setdefault("enable_modelarts", "True")
    overrides = ["hooks.modelarts=modelarts"]
    for name, value in given.items():
        key = "init_from" if name == "pre_trained" else name
        overrides.append(f"hooks.modelarts.{name}={value}" if name in PLUGIN_PARAMETERS else f"{key}={value}")
    inside = ROOT / recipe
    run = ["run", str(inside if inside.is_file() else recipe), *flags, "--plugin", "modelarts", *overrides]
    return ["launch", "-n", n_processes, *run] if n_processes else run


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
