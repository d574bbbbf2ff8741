"""Make a built-in model from a finished run: its weights, and a card with its scores.

    python tools/make_model.py runs/edsr_small_x2 --data "T91 (91 pictures)" --root ../shared/data

It writes ``srtrain/zoo/NAME.safetensors`` and ``NAME.json``. Each score is written as soon as it is known. If the tool
is started again for the same weights, it computes only the scores that are missing, and the time.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from srtrain import zoo
from srtrain.cli.main import report
from srtrain.device.backend import Backend
from srtrain.engines.engine import Engine
from srtrain.errors import CheckpointError, SrtrainError
from srtrain.evaluation.evaluator import EvalSet
from srtrain.files import sha256_of, write_whole
from srtrain.files.json_file import read_json
from srtrain.infer.model import load
from srtrain.infer.open import open_engine
from srtrain.jobs.count import network_of_weights
from srtrain.jobs.evaluate import Kind, Scoring, evaluate
from srtrain.jobs.sets import open_set
from srtrain.metrics import PROTOCOLS
from srtrain.models.count import count
from srtrain.recipe.load import load_recipe
from srtrain.recipe.text import differences, show
from srtrain.weights import edsr_pytorch
from srtrain.weights.described import default_args
from srtrain.weights.read import read_weights

ROOT = Path(__file__).resolve().parent.parent
PROTOCOL = "paper_y"
OF_THIS_MACHINE = ("name", "run_dir", "data.root", "data.train.root")  # keys whose change is not told


def main() -> int:
    """Make the model; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a finished run")
    parser.add_argument("--data", required=True, help="the training data in words, for the card")
    parser.add_argument("--name", help="name of the model (default: that of the run folder)")
    parser.add_argument("--to", metavar="FOLDER", type=Path, default=zoo.FOLDER)
    parser.add_argument("--root", metavar="FOLDER", required=True, help="folder of the data sets")
    parser.add_argument("--sets", metavar="SET", nargs="+", default=["set5", "set14"])
    parser.add_argument("--commit", help="of the recipe (default: the last one that changed it)")
    args = parser.parse_args()
    try:
        Backend().start("graph", 0)
        make(args.run, args.name or args.run.resolve().name, args)
    except SrtrainError as error:
        report(error)
        return error.exit_code
    return 0


def make(run: Path, name: str, args: argparse.Namespace) -> None:
    """Write the weights and the card, score after score."""
    weights = read_weights(run)
    file, card_file = args.to / f"{name}{zoo.WEIGHTS}", args.to / f"{name}{zoo.CARD}"
    kept = ("model", "model_args", "scale", "recipe_hash")
    network, scale = network_of_weights(run)
    about = {key: weights.about[key] for key in kept if key in weights.about}
    about["model_args"] = {
        **default_args(about["model"]),
        **about["model_args"],
    }  # stays right if a default changes
    half: dict[str, Any] = {
        key: tensor.astype(np.float16) for key, tensor in weights.tensors.items()
    }  # half the size
    edsr_pytorch.write(file, half, about)
    cost = count(network, scale)
    card: dict[str, Any] = {
        "name": name,
        "scale": scale,
        "sha256": sha256_of(file),
        "licence": "Apache-2.0",
        "network": {
            "model": about["model"],
            "model_args": about["model_args"],
            "parameters": cost.n_parameters,
            "multi_adds": cost.multi_adds,
        },
        "training": {"data": args.data, **_training(run, args.commit)},
        "scores": _earlier_scores(card_file, sha256_of(file)),
        "speed": _speed(file, scale),
    }
    write_whole(card_file, json.dumps(card, indent=2) + "\n")
    engine = open_engine(file, "mindspore")
    done = {score["set"] for score in card["scores"]}
    for set_name in [one for one in args.sets if one not in done]:
        card["scores"].append(_score(name, engine, set_name, args.root))
        write_whole(card_file, json.dumps(card, indent=2) + "\n")
        print(card["scores"][-1])
    print(f"wrote {file} ({file.stat().st_size:,} bytes) and {card_file}")


def _training(run: Path, commit: str | None) -> dict[str, Any]:
    """Return recipe, changes, commit and steps of a run."""
    recipe = load_recipe(run)
    command = (run / "command.txt").read_text("utf-8").splitlines()[-1]
    source = next(
        (word for word in shlex.split(command) if word.endswith(".py") and "tools/" not in word), ""
    )
    if not source:
        raise CheckpointError(f"the command in {str(run / 'command.txt')!r} names no recipe file.")
    changes = {
        key: Path(str(new)).name if key == "init_from" else new
        for key, (_, new) in differences(load_recipe(ROOT / "recipes" / Path(source).name), recipe).items()
        if key not in OF_THIS_MACHINE
    }
    words = ["git", "log", "-1", "--format=%h", "--", f"recipes/{Path(source).name}"]
    return {
        "recipe": f"recipes/{Path(source).name}",
        "changes": [f"{key}={show(value)}" for key, value in changes.items()],
        "commit": commit
        or subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip(),
        "steps": read_weights(run).about["step"],
    }


def _earlier_scores(card_file: Path, sha256: str) -> list[dict[str, Any]]:
    """Return the scores of the same weights that an earlier call has computed."""
    if not card_file.is_file():
        return []
    card = read_json(card_file, zoo.SHAPE)
    return list(card["scores"]) if card["sha256"] == sha256 else []


def _score(name: str, engine: Engine, set_name: str, root: str) -> dict[str, Any]:
    scale = engine.scale
    benchmark = EvalSet(set_name, open_set(set_name, root, scale), scale, PROTOCOLS.build(PROTOCOL))
    scoring = Scoring([PROTOCOL], ["plain"], Path(), False, 0)
    (row,) = evaluate({name: engine}, {Kind.of(engine): [benchmark]}, scoring, Backend())
    result = row.result
    return {
        "set": set_name,
        "protocol": PROTOCOL,
        "protocol_in_words": result.protocol,
        "method": result.method,
        "n_pictures": result.n_pictures,
        "psnr": round(result.psnr, 4),
        "ssim": round(result.ssim, 5),
        "bicubic_psnr": round(result.bicubic_psnr, 4),
    }


def _speed(file: Path, scale: int) -> dict[str, Any]:
    """Measure the time of one core for a megapixel of output; other programs on the machine do not count."""
    model = load(file, threads=1)
    side = 1000 // scale
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    seconds = []
    for _ in range(4):  # the first call also reserves memory
        started = time.process_time()
        model.upscale(picture)
        seconds.append(time.process_time() - started)
    return {
        "seconds_per_megapixel": round(min(seconds) / (side * scale) ** 2 * 1e6, 4),
        "engine": model.tiled.engine.name,
        "processor": _processor(),
        "cores": 1,
    }


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", about.read_text("utf-8")) if about.is_file() else None
    return found[1] if found else platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
