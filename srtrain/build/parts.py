"""Build single parts of a recipe: the device, pictures, benchmarks, the network."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import nn

import srtrain
from srtrain import plugins
from srtrain.data import DATASETS, DEGRADATIONS
from srtrain.data.degrade import Degrade
from srtrain.data.folders import needs_root, with_option
from srtrain.data.store import Pictures
from srtrain.device import BACKENDS
from srtrain.device.backend import Backend
from srtrain.errors import DataError, RecipeError
from srtrain.evaluation.evaluator import EvalSet
from srtrain.metrics import PROTOCOLS
from srtrain.models import BLOCKS, MODELS
from srtrain.models.scales import scales_of
from srtrain.recipe import Benchmark, Epochs, Recipe, Spec
from srtrain.recipe.record import digest, encode
from srtrain.registry import Registry, parameters_of
from srtrain.weights.network import SCALES, Network
from srtrain.weights.read import read_weights
from srtrain.weights.transfer import Weights


def build_spec(
    registry: Registry, spec: Spec, steps_per_epoch: int, offered: Mapping[str, Any] | None = None
) -> Any:
    """Build a Spec: epochs become steps, and parameters declared in ``from_run`` come from ``offered``."""
    given = {name: in_steps(value, steps_per_epoch) for name, value in spec.args.items()}
    return registry.build(spec.name, offered or {}, **given)


def in_steps(value: Any, steps_per_epoch: int) -> Any:
    """Convert epochs to steps, also inside tuples; return everything else unchanged."""
    if isinstance(value, Epochs):
        return max(1, round(value.n * steps_per_epoch))
    if isinstance(value, tuple):
        return tuple(in_steps(item, steps_per_epoch) for item in value)
    return value


def build_backend(recipe: Recipe) -> Backend:
    """Build and start the device.

    Raises:
        DeviceError: this machine does not have the device.
    """
    backend: Backend = build_spec(BACKENDS, recipe.device, 1)
    backend.start(recipe.train.mode, recipe.train.threads)
    if recipe.train.compile_cache:
        folder = Path(recipe.train.compile_cache).expanduser().resolve() / _graphs_of(recipe)
        ms.set_context(enable_compile_cache=True, compile_cache_path=str(folder))
    return backend


def _graphs_of(recipe: Recipe) -> str:
    """Return the name of a folder for the graphs of this recipe alone.

    MindSpore knows a graph by how many were compiled before it. It does not notice that the recipe is another one, and
    runs the other recipe's graph, with which the loss is NaN.
    """
    train = dataclasses.replace(recipe.train, compile_cache="")
    return digest(dataclasses.replace(recipe, name="", init_from="", train=train))


def build_pictures(
    recipe: Recipe,
    key: str,
    spec: Spec,
    cache: str,
    scale: int | None = None,
    degrade: Degrade | None = None,
) -> Pictures:
    """Return the pictures of a data set at a scale; by default, the recipe's.

    Raises:
        DataError: folders or pictures are missing, or do not match.
        RecipeError: the data set needs a folder, and neither its arguments nor ``data.root`` name one.
    """
    if needs_root(spec.name, spec.args) and not recipe.data.root:
        raise RecipeError(
            f"{key} = {spec.name!r} needs the folder of the data: add data.root=FOLDER (or {key}.root=FOLDER)."
        )
    scale = scale or recipe.scale
    cache_dir = Path(recipe.data.cache_dir).expanduser() if recipe.data.cache_dir else None
    try:
        pairs = build_spec(DATASETS, spec, 1, {"root": recipe.data.root, "scale": scale})
        return Pictures(pairs, scale, cache, cache_dir, degrade, is_grey(recipe))
    except DataError as error:
        if spec.name == "mix":  # whose sets have arguments of their own
            raise
        raise with_option(error, f"{key}.lr_type=on_the_fly") from error


def is_grey(recipe: Recipe) -> bool:
    """Return whether a recipe trains a network on grey pictures: ``model.n_colors=1``."""
    takes = parameters_of(MODELS.get(recipe.model.name)).get("n_colors")
    return takes is not None and recipe.model.args.get("n_colors", takes.default) == 1


def build_degrade(specs: Sequence[Spec]) -> Degrade | None:
    """Return the degradations in their order, or ``None`` if there are none."""
    steps = tuple(build_spec(DEGRADATIONS, spec, 1) for spec in specs)
    return Degrade(steps) if steps else None


def trained_scales(recipe: Recipe) -> tuple[int, ...]:
    """Return the scales that a recipe trains at: those of a network for several, or its own ``scale``."""
    return scales_of(recipe.model.name, recipe.model.args) or (recipe.scale,)


def wanted_benchmarks(recipe: Recipe) -> list[tuple[str, Benchmark]]:
    """Return the benchmarks of a recipe that are not switched off, by name."""
    return [(name, benchmark) for name, benchmark in recipe.benchmarks.items() if benchmark is not None]


def build_benchmarks(recipe: Recipe, names: Collection[str] | None = None) -> list[EvalSet]:
    """Return the benchmarks that a recipe scores during training, or those with these names.

    Raises:
        UserError: see ``build_pictures``.
    """
    benchmarks = []
    for name, benchmark in wanted_benchmarks(recipe):
        if not (benchmark.in_training if names is None else name in names):
            continue
        scale = benchmark.scale or recipe.scale
        degrade = build_degrade(benchmark.degrade)
        pictures = build_pictures(recipe, f"benchmarks.{name}.data", benchmark.data, "none", scale, degrade)
        benchmarks.append(EvalSet(name, pictures, scale, PROTOCOLS.build(benchmark.protocol)))
    return benchmarks


def build_model(recipe: Recipe) -> nn.Cell:
    """Return the network of a recipe, with the initial values that MindSpore's layers set."""
    model: nn.Cell = build_spec(MODELS, recipe.model, 1, {"scale": recipe.scale})
    return model


def read_weights_for(recipe: Recipe, path: Path) -> Weights:
    """Read weights for the network of a recipe: of srtrain, or of another framework for this network.

    Raises:
        CheckpointError: there are none, or they do not fit the network at any scale.
    """
    scales = (recipe.scale, *(scale for scale in SCALES if scale != recipe.scale))
    network = Network(recipe.model.name, recipe.model.args, scales)
    return read_weights(path.expanduser(), network=network)


def about(recipe: Recipe) -> dict[str, Any]:
    """Return the description that every checkpoint of a run stores."""
    return {
        "model": recipe.model.name,
        "model_args": encode(recipe.model.args),
        "scale": recipe.scale,
        "precision": recipe.precision.name,
        "recipe_hash": digest(recipe),
        "benchmarks": {name: benchmark.protocol for name, benchmark in wanted_benchmarks(recipe)},
        "srtrain": srtrain.__version__,
        **({"plugins": needed} if (needed := _plugins_of_network(recipe)) else {}),
    }


def _plugins_of_network(recipe: Recipe) -> list[str]:
    """Return the plugins that the network needs; those of hooks and data are not needed to use it."""
    kinds = {MODELS.kind, BLOCKS.kind}
    return [name for name in recipe.plugins if not kinds.isdisjoint(plugins.load(name).registered)]


def training_digest(recipe: Recipe) -> str:
    """Return a hash of the settings that affect the weights of a trained network."""
    train = dataclasses.replace(recipe.train, log_every=1, threads=0, compile_cache="")
    data = dataclasses.replace(recipe.data, cache="", cache_dir="", workers=1)
    return digest(
        dataclasses.replace(
            recipe, name="", init_from="", train=train, data=data, benchmarks={}, hooks={}, plugins=()
        )
    )
