"""``srtrain evaluate MODEL… --sets SET…``: scores, beside the published ones and beside each other."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from srtrain import plugins
from srtrain.errors import RecipeError, RunFolderError
from srtrain.files import write_whole

if TYPE_CHECKING:
    from srtrain.device.backend import Backend
    from srtrain.engines.engine import Engine
    from srtrain.evaluation.comparison import Row
    from srtrain.evaluation.evaluator import EvalSet, Evaluator
    from srtrain.metrics.protocol import Protocol
    from srtrain.models.count import Cost

HELP = "score checkpoints and exported models on benchmarks"
EXAMPLES = """\
examples:
  srtrain evaluate runs/edsr_x2 bicubic --sets set5 set14 --root data
  srtrain evaluate runs/edsr_x2 --sets div2k_valid=data/DIV2K --method plain self-ensemble
  srtrain evaluate bicubic --sets set5 --root data --scale 2 3 4
  srtrain evaluate edsr_x2.onnx EDSR_x2.pt --sets set5 --root data --protocol paper_y basicsr_rgb
  srtrain evaluate runs/a runs/b --sets set5 --root data --to report --pictures --worst 3 --plot
"""

METHODS = ("plain", "self-ensemble")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add models, sets, and what to do with the results."""
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs="*",
        help="a run folder (its best checkpoint), a step_… folder, a file of weights, an exported model, or bicubic",
    )
    parser.add_argument("--model", metavar="MODEL", action="append", default=[], help="the same; repeatable")
    parser.add_argument(
        "--sets", metavar="SET[=ROOT]", nargs="+", required=True, help="data sets, such as set5 div2k_valid"
    )
    parser.add_argument("--root", metavar="FOLDER", help="where the sets lie that name no root")
    parser.add_argument("--lr-type", metavar="NAME", help="bicubic, unknown or on_the_fly")
    parser.add_argument(
        "--scale", metavar="N", type=int, nargs="+", help="scales of bicubic; networks know theirs"
    )
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        nargs="+",
        help="instead of div2k_rgb for DIV2K and paper_y for the rest",
    )
    parser.add_argument("--method", nargs="+", choices=METHODS, default=["plain"], help="default: plain")
    parser.add_argument("--to", metavar="FOLDER", type=Path, help="write results.json and what follows here")
    parser.add_argument(
        "--pictures", action="store_true", help="write output, ground truth and error map of each"
    )
    parser.add_argument(
        "--worst", metavar="K", type=int, default=0, help="write a sheet of the K worst pictures"
    )
    parser.add_argument("--plot", action="store_true", help="write a plot of PSNR over multi-adds")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument(
        "--engine", metavar="NAME", default="auto", help="what runs the models; default: by suffix"
    )
    parser.add_argument(
        "--device", metavar="NAME", default="cpu", help="backend of checkpoints, such as ascend"
    )
    parser.add_argument("--threads", metavar="N", type=int, default=0, help="cores to use; 0 takes all")
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="NAME", help="plugin to activate; repeatable"
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate everything, then report; return the exit code."""
    args.models += args.model
    if not args.models:
        raise RecipeError(
            "there is nothing to evaluate: name a model, such as runs/edsr_x2, edsr_x2.onnx or bicubic."
        )
    if (args.pictures or args.worst or args.plot) and args.to is None:
        raise RecipeError("--pictures, --worst and --plot write files: add --to FOLDER.")

    for name in args.plugin:
        plugins.activate(name)
    from srtrain.device import BACKENDS
    from srtrain.metrics import PROTOCOLS

    for name in args.protocol or ():
        PROTOCOLS.get(name)
    _make_folder(args.to)
    backend: Backend = BACKENDS.build(args.device)
    backend.start("graph", args.threads)
    try:
        rows = evaluate(args, backend)
        if backend.rank == 0:
            _report(args, rows)
    finally:
        backend.close()
    return 0


def evaluate(args: argparse.Namespace, backend: Backend) -> list[Row]:
    """Return a row for each model, set, protocol and method."""
    engines = _engines(args)
    sets: dict[tuple[str, int], EvalSet] = {}
    for engine in engines.values():  # all of them, so that a missing folder is found before hours of work
        for given in args.sets:
            if (given, engine.scale) not in sets:
                sets[given, engine.scale] = _open_set(args, given, engine.scale)
    rows: list[Row] = []
    for label, engine in engines.items():
        facts = _facts(engine)
        if engine.input_px is None:
            # Compiling, or whatever the first call costs, is not the first picture's time.
            engine(np.zeros((1, 3, 16, 16), np.float32))
        for given in args.sets:
            rows += _evaluate_set(args, backend, label, engine, facts, sets[given, engine.scale])
    return rows


def _evaluate_set(
    args: argparse.Namespace,
    backend: Backend,
    label: str,
    engine: Engine,
    facts: tuple[str, Cost | None],
    benchmark: EvalSet,
) -> list[Row]:
    from srtrain.engines.tiles import Tiled
    from srtrain.evaluation.comparison import Row, write_pictures
    from srtrain.evaluation.evaluator import Evaluator
    from srtrain.metrics.published import SELF_ENSEMBLE, published
    from srtrain.models.ensemble import SelfEnsemble

    rows: list[Row] = []
    network = engine if engine.input_px is None else Tiled(engine)
    evaluator = Evaluator(network, backend, n_examples=0)
    names = args.protocol or [benchmark.protocol.name]
    paper_name, cost = facts
    for method in args.method:
        ensemble = method != "plain"
        upscale = SelfEnsemble(network) if ensemble else network
        words = SELF_ENSEMBLE if ensemble else "plain"
        folder = (args.to or Path()) / label / f"{benchmark.name}_x{engine.scale}{'_x8' if ensemble else ''}"
        results = evaluator.run_protocols(
            benchmark,
            _protocols(names),
            words,
            upscale,
            look=partial(write_pictures, folder) if args.pictures else None,
        )
        for name, result in zip(names, results, strict=True):
            printed = published(paper_name, engine.scale, benchmark.name, name, words)
            rows.append(Row(label, paper_name, engine.name, engine.scale, name, result, printed, cost))
        if args.worst and backend.rank == 0:
            _write_worst(args, folder, evaluator, benchmark, rows[-len(names)], upscale)
    return rows


def _write_worst(
    args: argparse.Namespace, folder: Path, evaluator: Evaluator, benchmark: EvalSet, row: Row, upscale: Any
) -> None:
    """Upscale the worst pictures again: which they are is known only when all ranks are done."""
    from srtrain.evaluation.comparison import write_worst

    scores = row.result.scores
    order = sorted(range(len(scores)), key=lambda i: scores[i].psnr)[: args.worst]
    protocol = _protocols([row.protocol])
    examples = [evaluator.examine(benchmark, index, protocol, upscale)[0] for index in order]
    write_worst(folder.with_name(f"{folder.name}_worst.png"), examples, row)


def _engines(args: argparse.Namespace) -> dict[str, Engine]:
    """Open every model, by the label that names it from here on."""
    from srtrain.engines.bicubic import Bicubic
    from srtrain.infer.open import open_engine

    networks = {
        given: open_engine(given, _engine_name(given, args), args.threads)
        for given in args.models
        if given != "bicubic"
    }
    scales = args.scale or sorted({engine.scale for engine in networks.values()})
    if "bicubic" in args.models and not scales:
        raise RecipeError("bicubic has no scale of its own: add --scale 2 (or several).")
    labels = [_label(given) for given in networks]
    engines: dict[str, Engine] = {}
    for given in args.models:
        if given == "bicubic":
            engines |= {"bicubic" if len(scales) == 1 else f"bicubic_x{n}": Bicubic(n) for n in scales}
        else:
            short = _label(given)
            engines[short if labels.count(short) == 1 else given.replace("/", "_")] = networks[given]
    return engines


def _engine_name(given: str, args: argparse.Namespace) -> str:
    """Return what runs a model: checkpoints are scored by what trained them unless another engine is named."""
    from srtrain.infer.open import is_checkpoint

    return "mindspore" if args.engine == "auto" and is_checkpoint(Path(given)) else args.engine


def _label(given: str) -> str:
    """Return a short name: a run folder's, or a file's without its suffix."""
    path = Path(given)
    if path.is_dir():
        path = path.resolve()
        parts = [part for part in path.parts[-3:] if part != "checkpoints"]
        return "_".join(parts[-2:]) if path.name.startswith("step_") else path.name
    return path.stem


def _open_set(args: argparse.Namespace, given: str, scale: int) -> EvalSet:
    from srtrain.data import DATASETS
    from srtrain.data.store import Pictures
    from srtrain.evaluation.evaluator import EvalSet
    from srtrain.metrics import PROTOCOLS
    from srtrain.registry import check_arguments, parameters_of

    name, _, root = given.partition("=")
    takes = parameters_of(DATASETS.get(name))
    arguments: dict[str, Any] = {"scale": scale}
    if "root" in takes and (root or args.root):
        arguments["root"] = root or args.root
    if args.lr_type and "lr_type" in takes:
        arguments["lr_type"] = args.lr_type
    if "root" in takes and "root" not in arguments:
        raise RecipeError(
            f"--sets {given}: the set needs its folder: add --root FOLDER or write {name}=FOLDER."
        )
    check_arguments(f"data set {name!r}", DATASETS.get(name), arguments)
    pictures = Pictures(DATASETS.build(name, **arguments), scale, cache="none")
    protocol = PROTOCOLS.build("div2k_rgb" if name.startswith("div2k") else "paper_y")
    return EvalSet(name, pictures, scale, protocol)


def _protocols(names: list[str]) -> list[Protocol]:
    from srtrain.metrics import PROTOCOLS

    return [PROTOCOLS.build(name) for name in names]


def _facts(engine: Engine) -> tuple[str, Cost | None]:
    """Return what papers call a model, and what it costs, as far as its file says what it is."""
    from srtrain.models import MODELS
    from srtrain.models.count import count
    from srtrain.weights.read import model_args
    from srtrain.weights.transfer import variant

    name = engine.about.get("model", "")
    if name == "bicubic":
        return name, None
    if name not in MODELS.names():
        return "", None
    network = MODELS.build(name, scale=engine.scale, **model_args(engine.about))
    return variant(engine.about), count(network, engine.scale)


def _make_folder(folder: Path | None) -> None:
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"--to {str(folder)!r} cannot be made: {error.strerror or error}.") from error


def _report(args: argparse.Namespace, rows: list[Row]) -> None:
    from srtrain.evaluation.comparison import plot, to_json, to_text
    from srtrain.trainer.run_folder import environment

    text = to_text(rows)
    document = json.dumps({"environment": environment(), "rows": to_json(rows)}, indent=2)
    print(document if args.json else text)
    if args.to is None:
        return
    write_whole(args.to / "results.json", document + "\n")
    write_whole(args.to / "table.txt", text + "\n")
    if args.plot:
        plot(args.to / "psnr_over_multi_adds.png", rows)
