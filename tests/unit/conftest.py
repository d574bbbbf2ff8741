"""Small real objects for unit tests: a network of 600 weights, two pictures of 40 px, a trainer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from srtrain.build.trainer import ADVICE
from srtrain.data.embedded import embedded
from srtrain.data.folders import Pair
from srtrain.data.loader import Loader
from srtrain.data.picture import read_rgb, write_png
from srtrain.data.sampler import Sampler
from srtrain.data.store import Pictures
from srtrain.device.backend import Backend
from srtrain.device.precision import Precision
from srtrain.engines.engine import Engine
from srtrain.evaluation.evaluator import EvalSet, Evaluator
from srtrain.export.write import export
from srtrain.hooks import Hook
from srtrain.infer.open import open_engine
from srtrain.metrics import PROTOCOLS
from srtrain.metrics.protocol import Protocol
from srtrain.models import MODELS
from srtrain.models.edsr import EDSR
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.models.upscale import Upscaler
from srtrain.trainer.checkpoint import CheckpointStore
from srtrain.trainer.log import Log
from srtrain.trainer.losses.l1 import L1
from srtrain.trainer.optim import build_optimizer
from srtrain.trainer.step import TrainStep
from srtrain.trainer.trainer import Trainer
from srtrain.trainer.update import Update


def _in_mode(mode: int) -> Iterator[None]:
    before = ms.get_context("mode")
    ms.set_context(mode=mode)
    yield
    ms.set_context(mode=before)


@pytest.fixture
def pynative() -> Iterator[None]:
    """Use PyNative mode: nothing is compiled, so many tiny networks are cheap."""
    yield from _in_mode(ms.PYNATIVE_MODE)


@pytest.fixture
def graph() -> Iterator[None]:
    """Use graph mode, as a real run does."""
    yield from _in_mode(ms.GRAPH_MODE)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    """Two crops of a real photograph, 40 and 36 px wide, with their low resolution at x2."""
    folder = tmp_path_factory.mktemp("pictures")
    photo = read_rgb(embedded(2, names=("chelsea",))[0].gt)
    pairs = []
    for name, y, x, width in (("eye", 110, 210, 40), ("ear", 20, 80, 36)):
        file = folder / f"{name}.png"
        write_png(file, np.ascontiguousarray(photo[y : y + 40, x : x + width]))
        pairs.append(Pair(name, file, None))
    return Pictures(pairs, 2)


@pytest.fixture
def new_model() -> Callable[..., EDSR]:
    """Make a tiny EDSR whose weights depend on the seed alone."""

    def make(scale: int = 2, seed: int = 1, n_resblocks: int = 1, n_feats: int = 4) -> EDSR:
        model = EDSR(scale, n_resblocks, n_feats)
        initialise(model, kaiming_uniform(), seed)
        return model

    return make


@pytest.fixture
def benchmark_set(pictures: Pictures) -> EvalSet:
    """The two pictures as a benchmark, scored as the paper does."""
    protocol: Protocol = PROTOCOLS.build("paper_y")
    return EvalSet("crops", pictures, 2, protocol)


@pytest.fixture(scope="session")
def odd_set(tmp_path_factory: pytest.TempPathFactory) -> EvalSet:
    """A benchmark at x2 of a photograph, a perfectly flat picture, and pictures of 14 x 14 and 4 x 4 px."""
    folder = tmp_path_factory.mktemp("odd")
    photo = read_rgb(embedded(2, names=("chelsea",))[0].gt)[110:150, 210:250]
    odd = {
        "eye": photo,
        "flat": np.full((40, 40, 3), 90, np.uint8),
        "small": photo[:14, :14],
        "tiny": photo[:4, :4],
    }
    for name, picture in odd.items():
        write_png(folder / f"{name}.png", np.ascontiguousarray(picture))
    pairs = [Pair(name, folder / f"{name}.png", None) for name in odd]
    return EvalSet("odd", Pictures(pairs, 2), 2, PROTOCOLS.build("paper_y"))


class Delicate(L1):
    """L1 that is NaN for a batch with black targets, and very large for one with white targets."""

    def construct(self, sr, gt):
        shade = ops.mean(gt)
        bearable = ops.cast(shade > 0, ms.float32)
        return super().construct(sr, gt) * (1 + 1000 * ops.cast(shade == 255, ms.float32)) / bearable


class Paint(Hook):
    """Paints the targets of some steps black or white, which gives a NaN or a spike with ``Delicate``."""

    def __init__(self, colour: int, *steps: int) -> None:
        self.colour = colour
        self.steps = steps

    def before_step(self, trainer, batch):
        if trainer.step in self.steps:
            batch.gt[:] = self.colour


@pytest.fixture
def delicate() -> nn.Cell:
    """A loss that is infinite for black targets."""
    return Delicate()


@pytest.fixture
def paint() -> type[Paint]:
    """The hook that makes batches with which the delicate loss fails."""
    return Paint


@pytest.fixture
def make_trainer(
    pynative: None, tmp_path: Path, pictures: Pictures, new_model: Callable[..., EDSR]
) -> Callable[..., Trainer]:
    """Make a complete trainer of a tiny run in ``tmp_path/run`` with the given hooks."""

    def make(
        hooks: Sequence[Hook] = (),
        max_steps: int = 4,
        *,
        model: nn.Cell | None = None,
        update: Update | None = None,
        lr: float = 1e-3,
        optimizer: str = "adam",
        precision: Precision | None = None,
        clip_norm: float | None = None,
        skip_above: float | None = None,
        loss: nn.Cell | None = None,
        log_every: int = 1,
        run_dir: Path = tmp_path / "run",
    ) -> Trainer:
        run_dir.mkdir(exist_ok=True)
        model = model or new_model()
        parameters = list(model.trainable_params())
        trainer = Trainer(
            model=model,
            update=update
            or TrainStep(
                model,
                loss or L1(),
                build_optimizer(optimizer, parameters, lr),
                precision=precision,
                clip_norm=clip_norm,
                skip_above=skip_above,
            ),
            loader=Loader(pictures, Sampler(len(pictures), 2, seed=3), gt_patch_px=16, workers=0),
            hooks=list(hooks),
            max_steps=max_steps,
            backend=Backend(),
            store=CheckpointStore(run_dir / "checkpoints", {"model": "edsr", "scale": 2}),
            log=Log(run_dir / "run.log", every=log_every, to_console=False),
        )
        trainer.state.advice = ADVICE
        return trainer

    return make


@pytest.fixture
def evaluator() -> Callable[[Trainer], Evaluator]:
    """Make the evaluator of a trainer's network."""
    return lambda trainer: Evaluator(Upscaler(trainer.model), trainer.backend)


@pytest.fixture
def weights_of() -> Callable[[nn.Cell], dict[str, np.ndarray]]:
    """Copy the Parameters of a Cell to the host."""

    def copy(cell: nn.Cell) -> dict[str, np.ndarray]:
        return {name: p.asnumpy().copy() for name, p in cell.parameters_dict().items()}

    return copy


ARGS = {"n_resblocks": 1, "n_feats": 4}


@pytest.fixture(scope="session")
def opened_onnx(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """An EDSR x2 with a receptive field radius of 6 px."""
    folder = tmp_path_factory.mktemp("run")
    model = EDSR(2, **ARGS)
    initialise(model, kaiming_uniform(), 1)
    about = {"model": "edsr", "model_args": ARGS, "scale": 2}
    CheckpointStore(folder / "checkpoints", about).save(1, {"model": model.parameters_dict()}, {})
    return open_engine(export(folder, folder / "edsr_x2.onnx").file, threads=1)


@pytest.fixture
def onnx_engine(opened_onnx: Engine) -> Engine:
    """The same network, with metadata that a test may change."""
    engine = copy.copy(opened_onnx)
    engine.about = dict(opened_onnx.about)
    return engine


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``run`` (a checkpoint at x2) and its exports ``net.onnx``, ``net.mindir`` and ``net.param``."""
    folder = tmp_path_factory.mktemp("exported")
    model = EDSR(2, **ARGS)
    initialise(model, kaiming_uniform(), seed=2)
    about = {"model": "edsr", "model_args": ARGS, "scale": 2, "recipe_hash": "abc"}
    CheckpointStore(folder / "run" / "checkpoints", about).save(7, {"model": model.parameters_dict()}, {})
    for suffix in (".onnx", ".mindir", ".param"):
        export(folder / "run", folder / f"net{suffix}")
    return folder


@pytest.fixture
def checkpoint(tmp_path):
    """Write a checkpoint of a network of MODELS with random weights, and return its folder."""

    def write(
        model: str = "edsr", scale: int = 2, *, recipe_hash: str = "0123456789abcdef", seed: int = 5, **args
    ):
        network = MODELS.build(model, scale=scale, **args)
        initialise(network, kaiming_uniform(), seed=seed)
        store = CheckpointStore(
            tmp_path / f"{model}_run" / "checkpoints",
            {"model": model, "model_args": args, "scale": scale, "recipe_hash": recipe_hash},
        )
        return store.save(10, {"model": network.parameters_dict()}, {"hooks": {}})

    return write


TINY = {"n_resblocks": 2, "n_feats": 6, "res_scale": 0.1}


@pytest.fixture
def tiny() -> dict[str, float]:
    """Arguments of a tiny EDSR with layers that can be folded."""
    return dict(TINY)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make an installed distribution with plugin entry points, as pip would leave it."""

    def make(entries, modules, name="thirdparty"):
        for module, text in modules.items():
            (tmp_path / f"{module}.py").write_text(text)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "".join(f"{entry} = {module}\n" for entry, module in entries.items())
        (info / "entry_points.txt").write_text(f"[srtrain.plugins]\n{lines}")
        monkeypatch.syspath_prepend(str(tmp_path))

    return make
