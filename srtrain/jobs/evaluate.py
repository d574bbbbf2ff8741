"""Score models on data sets, and compare them with published rows and with each other."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from srtrain.build.parts import about as about_recipe
from srtrain.build.parts import build_benchmarks
from srtrain.data import DATASETS, DEGRADATIONS
from srtrain.data.degrade import Degrade
from srtrain.data.folders import with_option
from srtrain.device import BACKENDS
from srtrain.device.backend import Backend
from srtrain.engines import ENGINES
from srtrain.engines.bicubic import Bicubic
from srtrain.engines.engine import Engine
from srtrain.engines.tiles import Tiled
from srtrain.errors import CheckpointError, DataError, RecipeError, cannot
from srtrain.evaluation.comparison import Row, plot, to_json, to_text, write_pictures, write_worst
from srtrain.evaluation.evaluator import EvalSet, Evaluator
from srtrain.files import write_whole
from srtrain.infer.open import is_checkpoint, open_engine, tell_device
from srtrain.jobs.sets import open_set
from srtrain.metrics import PROTOCOLS
from srtrain.metrics.protocol import Protocol
from srtrain.metrics.published import SELF_ENSEMBLE, published
from srtrain.models import MODELS
from srtrain.models.count import Cost, count
from srtrain.models.ensemble import SelfEnsemble
from srtrain.models.scales import scales_of
from srtrain.recipe import Recipe
from srtrain.registry import parameters_of
from srtrain.trainer.run_folder import environment
from srtrain.weights import SUFFIXES
from srtrain.weights.described import model_args, network_of
from srtrain.weights.network import takes_network
from srtrain.weights.transfer import describe, differences, variant

_REFERENCE_BYTES = 4_000_000_000  # for the checkpoint of --against; its tiles change nothing


class Kind(NamedTuple):
    """The pictures that an engine is scored on.

    Attributes:
        scale: ground truth over input.
        grey: whether they are read as grey, for a network that srtrain trained on grey pictures.
    """

    scale: int
    grey: bool

    @classmethod
    def of(cls, engine: Engine) -> Kind:
        """Return the kind of pictures for an engine."""
        about = engine.about
        return cls(engine.scale, 1 in (about.get("channels"), about.get("model_args", {}).get("n_colors")))


@dataclass(frozen=True)
class Scoring:
    """How models are scored.

    Attributes:
        protocols: names; ``None`` takes the usual protocol of each set.
        methods: ``plain``, ``self-ensemble``, or both.
        folder: where pictures and sheets are written.
        pictures: whether to write the output, the ground truth and the error map of each picture.
        n_worst: number of pictures on the sheet of the worst ones; 0 writes none.
    """

    protocols: Sequence[str] | None
    methods: Sequence[str]
    folder: Path
    pictures: bool
    n_worst: int


def run(args: argparse.Namespace) -> int:
    """Evaluate everything, then report; return the exit code."""
    for name in args.protocol or ():
        PROTOCOLS.get(name)
    if args.models_in is not None:
        args.models += models_in(args.models_in)
    _make_folder(args.to)
    scoring = Scoring(args.protocol, args.method, args.to or Path(), args.pictures, args.worst)
    backend: Backend = BACKENDS.build(args.device, **args.device_args)
    backend.start("graph", args.threads)
    try:
        engines = _engines(args, args.engine_options)
        sets = _sets(args, engines)  # all of them, so that a missing folder is found before hours of work
        if args.against is not None and backend.rank == 0:
            _compare(engines, sets, args.against, args.threads)
        rows = evaluate(engines, sets, scoring, backend)
        if backend.rank == 0:
            _report(rows, args.json, args.to, args.plot)
    finally:
        backend.close()
    return 0


def _sets(args: argparse.Namespace, engines: Mapping[str, Engine]) -> dict[Kind, list[EvalSet]]:
    """Return the data sets for each kind of engine: those that are named, or else the recipe's benchmarks."""
    kinds = [Kind.of(engine) for engine in engines.values()]
    if not args.sets:
        benchmarks = build_benchmarks(args.resolved)
        return {
            kind: [benchmark for benchmark in benchmarks if benchmark.scale == kind.scale] for kind in kinds
        }
    degrade = Degrade([DEGRADATIONS.build(name, **given) for name, given in args.degrade])
    return {
        kind: [
            _open_set(name, root or args.root, kind, args.lr_type, degrade if args.degrade else None)
            for name, root in args.sets
        ]
        for kind in kinds
    }


def _check_network(given: str, about: Mapping[str, Any], recipe: Recipe | None) -> None:
    """Refuse weights of another network than the recipe's.

    Raises:
        CheckpointError: name or scale of the network differ, or an argument that both state.
    """
    if recipe is None:
        return
    wanted = about_recipe(recipe)
    if any(about.get(key) != wanted[key] for key in ("model", "scale")) or differences(about, wanted):
        raise CheckpointError(
            f"the weights in {given!r} are of {describe(about)}, and the recipe's network is {describe(wanted)}."
        )


def models_in(folder: Path) -> list[str]:
    """Return the models in a folder: run folders, checkpoints, weights and exported files.

    Raises:
        CheckpointError: there is none.
    """
    kinds: list[Any] = [ENGINES.get(name) for name in ENGINES.names()]
    suffixes = {suffix for kind in kinds for suffix in kind.suffixes} | {*SUFFIXES}
    found = [
        str(path)
        for path in sorted(folder.iterdir())
        if (_has_checkpoint(path) if path.is_dir() else path.suffix in suffixes)
    ]
    if not found:
        raise CheckpointError(
            f"there is no model in {str(folder)!r}: no run folder, no checkpoint, and no file that ends in "
            f"{', '.join(sorted(suffixes))}."
        )
    return found


def _has_checkpoint(folder: Path) -> bool:
    """Return whether a folder is a run folder with checkpoints, their folder, or one of them."""
    return any(next(folder.glob(pattern), None) for pattern in ("checkpoints/step_*", "step_*", "state.json"))


def evaluate(
    engines: dict[str, Engine], sets: dict[Kind, list[EvalSet]], scoring: Scoring, backend: Backend
) -> list[Row]:
    """Return a row for each model, set, protocol and method.

    Args:
        engines: models by the label that their rows have.
        sets: data sets by the kind of their pictures.
        scoring: protocols, methods, and what to write.
        backend: device of this process; each rank takes its share of the pictures.
    """
    rows: list[Row] = []
    for label, engine in engines.items():
        facts = _facts(engine)
        if engine.input_px is None:  # compiling in the first call must not count as the first picture's time
            engine(np.zeros((1, 3, 16, 16), np.float32))
        for benchmark in sets[Kind.of(engine)]:
            rows += _evaluate_set(label, engine, facts, benchmark, scoring, backend)
    return rows


def _evaluate_set(
    label: str,
    engine: Engine,
    facts: tuple[str, Cost | None],
    benchmark: EvalSet,
    scoring: Scoring,
    backend: Backend,
) -> list[Row]:
    rows: list[Row] = []
    network = engine if engine.input_px is None else Tiled(engine)
    evaluator = Evaluator(network, backend, n_examples=0)
    names = scoring.protocols or [benchmark.protocol.name]
    paper_name, cost = facts
    for method in scoring.methods:
        ensemble = method != "plain"
        upscale = SelfEnsemble(network) if ensemble else network
        words = SELF_ENSEMBLE if ensemble else "plain"
        folder = scoring.folder / label / f"{benchmark.name}_x{engine.scale}{'_x8' if ensemble else ''}"
        results = evaluator.run_protocols(
            benchmark,
            _protocols(names),
            words,
            upscale,
            look=partial(write_pictures, folder) if scoring.pictures else None,
        )
        for name, result in zip(names, results, strict=True):
            printed = published(paper_name, engine.scale, benchmark.name, name, words)
            rows.append(Row(label, paper_name, engine.name, engine.scale, name, result, printed, cost))
        if scoring.n_worst and backend.rank == 0:
            _write_worst(scoring.n_worst, folder, evaluator, benchmark, rows[-len(names)], upscale)
    return rows


def _write_worst(
    n_worst: int, folder: Path, evaluator: Evaluator, benchmark: EvalSet, row: Row, upscale: Any
) -> None:
    """Upscale the worst pictures again: which ones they are is known only when all ranks are done."""
    scores = row.result.scores
    scored = [i for i, score in enumerate(scores) if not math.isnan(score.psnr)]
    order = sorted(scored, key=lambda i: scores[i].psnr)[:n_worst]
    protocol = _protocols([row.protocol])
    examples = [evaluator.examine(benchmark, index, protocol, upscale)[0] for index in order]
    write_worst(folder.with_name(f"{folder.name}_worst.png"), examples, row)


def _engines(args: argparse.Namespace, options: Mapping[str, Any]) -> dict[str, Engine]:
    """Open every model; the keys are the labels that name the models in the results.

    The range of values is for exported files alone.
    """
    models: Sequence[str] = args.models
    networks: dict[tuple[str, int], Engine] = {}
    for given in models:
        if given != "bicubic":
            opened = _at_all_scales(given, args, options)
            networks |= {(given, index): engine for index, engine in enumerate(opened)}
            tell_device(opened[0], options)
            if "foreign" in opened[0].about:
                print(f"note: {given}: {opened[0].about['foreign']}", file=sys.stderr)
            if args.scale and opened[0].scale not in args.scale:
                raise RecipeError(
                    f"--scale {' '.join(map(str, args.scale))} does not fit {given!r}, which is a network for "
                    f"x{opened[0].scale}."
                )
    scales = args.scale or sorted({network.scale for network in networks.values()})
    if "bicubic" in models and not scales:
        raise RecipeError("bicubic has no scale of its own: add --scale 2 (or several).")
    labels = [_label(given) for given, index in networks if index == 0]
    engines: dict[str, Engine] = {}
    for given in models:
        if given == "bicubic":
            engines |= {"bicubic" if len(scales) == 1 else f"bicubic_x{n}": Bicubic(n) for n in scales}
        else:
            short = _label(given) if labels.count(_label(given)) == 1 else given.replace("/", "_")
            own = [network for (name, _), network in networks.items() if name == given]
            engines |= {short if len(own) == 1 else f"{short}_x{network.scale}": network for network in own}
    return engines


def _at_all_scales(given: str, args: argparse.Namespace, options: Mapping[str, Any]) -> list[Engine]:
    """Open a model; open a checkpoint of a network for several scales once for each scale (that is wanted)."""
    stated = None if is_checkpoint(Path(given)) else args.range
    kind = _engine_name(given, args.engine)
    network = args.network if takes_network(Path(given)) else None
    first = open_engine(given, kind, args.threads, stated, options, network=network)
    _check_network(given, first.about, args.resolved)
    name = first.about.get("model", "")
    known = scales_of(name, model_args(first.about)) if is_checkpoint(Path(given)) and name in MODELS else ()
    scales = [scale for scale in known if scale in args.scale or not args.scale]
    if len(known) < 2 or not scales:
        return [first]
    return [
        first if scale == first.scale else open_engine(given, kind, args.threads, stated, options, scale)
        for scale in scales
    ]


def _compare(
    engines: dict[str, Engine], sets: dict[Kind, list[EvalSet]], checkpoint: Path, threads: int
) -> None:
    """Print how the first picture of each network differs from what MindSpore computes from the checkpoint."""
    reference = Tiled(open_engine(checkpoint, "mindspore", threads), memory_bytes=_REFERENCE_BYTES)
    for label, engine in engines.items():
        if engine.scale != reference.scale:
            continue
        pictures = sets[Kind.of(engine)][0].pictures
        lq = pictures.lq(0).transpose(2, 0, 1)[None].astype(np.float32)
        network = engine if engine.input_px is None else Tiled(engine)
        difference = np.abs(network(lq) - reference(lq))
        where = ""
        if engine.input_px is not None:  # smaller pictures are mirrored at their borders, which shows there
            border = reference.overlap.px * engine.scale
            if min(difference.shape[2:]) > 2 * border:
                difference = difference[..., border:-border, border:-border]
                where = f", without a border of {border} px"
        print(
            f"{label} differs from {checkpoint} at the picture {pictures.name(0)!r} by {difference.max():.2g} grey "
            f"levels of 255 at most and {difference.mean():.2g} on average{where}",
            file=sys.stderr,
        )


def _engine_name(given: str, engine: str) -> str:
    """Return the engine of a model: ``auto`` runs a checkpoint with MindSpore, which trained it."""
    return "mindspore" if engine == "auto" and is_checkpoint(Path(given)) else engine


def _label(given: str) -> str:
    """Return a short name: the name of a run folder, or of a file without its suffix."""
    path = Path(given)
    if path.is_dir():
        path = path.resolve()
        parts = [part for part in path.parts[-3:] if part != "checkpoints"]
        return "_".join(parts[-2:]) if path.name.startswith("step_") else path.name
    return path.stem


def _open_set(name: str, root: str, kind: Kind, lr_type: str | None, degrade: Degrade | None) -> EvalSet:
    """Open a set; with degradations, the low resolution is made from the ground truth unless it is named."""
    wanted = lr_type or ("on_the_fly" if degrade else None)
    takes_type = wanted and "lr_type" in parameters_of(DATASETS.get(name))
    try:
        pictures = open_set(
            name, root, kind.scale, degrade, kind.grey, **({"lr_type": wanted} if takes_type else {})
        )
    except DataError as error:
        raise with_option(error, "--lr-type on_the_fly") from error
    protocol = PROTOCOLS.build("div2k_rgb" if name.startswith("div2k") else "paper_y")
    return EvalSet(name, pictures, kind.scale, protocol)


def _protocols(names: Sequence[str]) -> list[Protocol]:
    return [PROTOCOLS.build(name) for name in names]


def _facts(engine: Engine) -> tuple[str, Cost | None]:
    """Return the name that papers give a model, and its cost; empty and ``None`` where its file does not say."""
    name = engine.about.get("model", "")
    if name == "bicubic":
        return name, None
    if name not in MODELS.names():
        return "", None
    network = network_of({**engine.about, "scale": engine.scale}, engine.path)
    return variant(engine.about), count(network, engine.scale)


def _make_folder(folder: Path | None) -> None:
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot(f"the folder --to {str(folder)!r} cannot be made", error) from error


def _report(rows: list[Row], as_json: bool, folder: Path | None, with_plot: bool) -> None:
    text = to_text(rows)
    document = json.dumps({"environment": environment(), "rows": to_json(rows)}, indent=2, allow_nan=False)
    print(document if as_json else text)
    if folder is None:
        return
    write_whole(folder / "results.json", document + "\n")
    write_whole(folder / "table.txt", text + "\n")
    if with_plot:
        plot(folder / "psnr_over_multi_adds.png", rows)
