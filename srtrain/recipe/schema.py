"""The schema of a recipe: all settings of a run, as plain data.

A recipe file defines ``def recipe() -> Recipe:``. Its values are literals, tuples, dicts, ``Spec`` (an entry of a
registry, with arguments) and ``Epochs`` (a length or period in epochs instead of steps). Every recipe can therefore be
printed, written to JSON and read back without loss. No class of a run gets the recipe itself: ``srtrain/build`` turns
it into objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Spec:
    """An entry of a registry and the arguments to build it with: ``Spec("edsr", n_feats=64)``."""

    __slots__ = ("args", "name")

    def __init__(self, name: str, /, **args: Any) -> None:
        self.name = name
        self.args = args

    def __repr__(self) -> str:
        return f"Spec({', '.join([repr(self.name), *(f'{k}={v!r}' for k, v in self.args.items())])})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and (self.name, self.args) == (other.name, other.args)

    def __hash__(self) -> int:
        return hash(repr(self))


@dataclass(frozen=True)
class Epochs:
    """A length or a period in epochs, which ``srtrain/build`` turns into steps. On a command line: ``20ep``."""

    n: float

    def __str__(self) -> str:
        return f"{self.n:g}ep"


Period = int | Epochs


@dataclass(frozen=True)
class Data:
    """The training data.

    Attributes:
        root: folder of the data, for every data set of this recipe that has no ``root`` of its own. Several folders are
            joined with ``:`` (``;`` on Windows), as in ``data/DIV2K:other/data``; the first one with the set is used.
        train: the training set, from ``DATASETS``.
        gt_patch_px: side of the square patch of ground truth; the side of the input is this divided by the scale. A
            network for several scales sees patches of this input at each of them.
        batch_size: samples of one update, over all ranks together.
        augment: random flips and 90° turns, the same for input and ground truth; ``False`` switches all three off.
        hflip: mirror left to right in half of the samples, as a part of ``augment``.
        vflip: mirror top to bottom in half of the samples, as a part of ``augment``.
        rot90: transpose half of the samples, as a part of ``augment``; with a flip this is a turn by 90°.
        degrade: degradations of the input beyond bicubic downscaling, from ``DEGRADATIONS``, applied in this order;
            in training only (a benchmark has its own ``degrade``).
        cache: where decoded pictures are kept: ``memory``, ``mmap`` or ``none``.
        cache_dir: folder for ``mmap``; empty means ``$SRTRAIN_CACHE``, or the user's cache folder if that is not set.
        workers: threads that assemble batches ahead of the trainer.
    """

    root: str = ""
    train: Spec = Spec("div2k_train")
    gt_patch_px: int = 96
    batch_size: int = 16
    augment: bool = True
    hflip: bool = True
    vflip: bool = True
    rot90: bool = True
    degrade: tuple[Spec, ...] = ()
    cache: str = "memory"
    cache_dir: str = ""
    workers: int = 1


@dataclass(frozen=True)
class Benchmark:
    """A set of whole pictures and the protocol that scores them.

    Attributes:
        data: the set, from ``DATASETS``.
        protocol: from ``PROTOCOLS``: the colour, border and rounding of the PSNR.
        psnr: the expected PSNR of the trained network, in dB; ``srtrain verify`` compares with it.
        ssim: the expected SSIM.
        scale: upscaling factor of this set, for a network for several scales; ``None`` means the recipe's ``scale``.
        degrade: degradations of the input, from ``DEGRADATIONS``, applied in this order. They depend on the number of
            the picture alone, so every evaluation sees the same noise.
        ensemble_psnr: the expected PSNR with the ×8 self-ensemble, in dB.
        ensemble_ssim: the expected SSIM with the ×8 self-ensemble.
        in_training: whether evaluation hooks score the set; ``srtrain verify`` scores it in any case.
    """

    data: Spec
    protocol: str = "paper_y"
    psnr: float | None = None
    ssim: float | None = None
    scale: int | None = None
    degrade: tuple[Spec, ...] = ()
    ensemble_psnr: float | None = None
    ensemble_ssim: float | None = None
    in_training: bool = True

    @property
    def expects(self) -> bool:
        """Whether a score is expected, with any method."""
        scores = (self.psnr, self.ssim, self.ensemble_psnr, self.ensemble_ssim)
        return any(score is not None for score in scores)


@dataclass(frozen=True)
class Optim:
    """The update of the weights.

    Attributes:
        optimizer: a name of ``mindcv.optim`` with its arguments.
        lr: base learning rate, which the schedule multiplies with a factor.
        schedule: from ``SCHEDULES``.
        clip_norm: largest allowed global norm of the gradient; ``None`` does not clip.
        skip_above: skip an update whose loss is more than this many times its running mean; ``None`` skips only
            updates whose loss or gradient is not finite.
    """

    optimizer: Spec = Spec("adam", beta1=0.9, beta2=0.999)
    lr: float = 1e-4
    schedule: Spec = Spec("constant")
    clip_norm: float | None = None
    skip_above: float | None = None


@dataclass(frozen=True)
class Train:
    """The length of the training, and how the loop runs. Set exactly one of ``steps`` and ``epochs``.

    Attributes:
        steps: number of updates.
        epochs: passes over the training set; one pass is ``steps_per_epoch`` updates.
        steps_per_epoch: updates per epoch; ``None`` means pictures // batch_size, at least 1.
        log_every: period of the console, TensorBoard and ``metrics.jsonl``.
        mode: ``graph`` compiles the update; ``pynative`` runs it line by line, for debugging.
        threads: threads of the CPU kernels; 0 means all cores that this process may use.
        accumulate: number of parts into which each rank splits its share of a batch. The parts are computed one after
            the other, which takes less memory; the update is the same.
        recompute: keep only the outputs of the network's blocks for the backward pass, and compute the rest again.
            This takes less memory and about a third more time; the bits are the same. It uses MindSpore's own kernels.
        sink_steps: number of updates between two looks of the host. The batches wait in a queue on the device, and
            the host starts the updates one after the other without waiting for a result. Hooks run, and the learning
            rate changes, only at multiples of it. Ascend only.
        compile_cache: folder in which MindSpore keeps compiled graphs, so that a second start of the same run, such as
            a resume, is faster; empty keeps nothing. Each recipe has a folder of its own in it.
    """

    steps: int | None = None
    epochs: float | None = None
    steps_per_epoch: int | None = None
    log_every: Period = 50
    mode: str = "graph"
    threads: int = 0
    accumulate: int = 1
    recompute: bool = False
    sink_steps: int = 1
    compile_cache: str = ""


def standard_hooks(**changes: Spec | None) -> dict[str, Spec | None]:
    """Return the hooks of an ordinary run; ``changes`` replaces or adds hooks, and ``None`` removes one."""
    return {
        "signals": Spec("signals"),
        "timing": Spec("timing"),
        "lr": Spec("lr"),
        "nan_guard": Spec("nan_guard"),
        "loss_scale": Spec("loss_scale"),
        "checkpoint": Spec("checkpoint"),
        "evaluate": Spec("evaluate"),
        "metrics": Spec("metrics"),
        "pictures": Spec("pictures"),
        "tensorboard": Spec("tensorboard"),
        "console": Spec("console"),
        "watchdog": Spec("watchdog"),
        **changes,
    }


@dataclass(frozen=True)
class Recipe:
    """All settings of one run.

    Attributes:
        name: name of the run and of its folder.
        scale: upscaling factor, for the model and every data set. A network with an argument ``scales`` is trained
            at all of them (docs/new_model.md); this one is used where a single scale is needed, as in exports.
        model: the network, from ``MODELS``.
        data: the training data.
        train: the length of the training, and how the loop runs.
        optim: the update of the weights.
        loss: from ``LOSSES``.
        init: how weights are initialised, from ``INITIALISERS``.
        init_from: a run, checkpoint or file whose weights are loaded before the first step; empty for none.
        precision: from ``PRECISIONS``.
        device: from ``BACKENDS``.
        benchmarks: the sets that evaluation hooks and ``srtrain verify`` score, by name; ``None`` removes one.
        hooks: from ``HOOKS``, by the name that overrides use; ``None`` removes one.
        plugins: plugins that this recipe needs: the name of an entry point, a module, or the path of a ``.py`` file.
        seed: seed of initialisation, order and augmentation.
        run_dir: folder of the run; empty means ``runs/<name>``.
    """

    name: str
    scale: int
    model: Spec
    data: Data = Data()
    train: Train = Train()
    optim: Optim = Optim()
    loss: Spec = Spec("l1")
    init: Spec = Spec("kaiming_uniform")
    init_from: str = ""
    precision: Spec = Spec("float32")
    device: Spec = Spec("cpu")
    benchmarks: dict[str, Benchmark | None] = field(default_factory=dict)
    hooks: dict[str, Spec | None] = field(default_factory=standard_hooks)
    plugins: tuple[str, ...] = ()
    seed: int = 2021
    run_dir: str = ""

    @property
    def folder(self) -> Path:
        """Folder of the run: ``run_dir``, or ``runs/<name>`` where that is empty."""
        return Path(self.run_dir or Path("runs") / self.name)
