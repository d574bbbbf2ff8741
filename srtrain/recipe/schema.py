"""The schema of a recipe: what can be said about a run, as plain data.

A recipe file holds ``def recipe() -> Recipe:``. Its values are literals, tuples, dicts, ``Spec`` (something
from a registry, with arguments) and ``Epochs`` (a length or period in epochs instead of steps), so that
every recipe can be printed, written to JSON and read back without loss. No class of this package ever
sees a recipe: ``build.py`` turns it into live objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Spec:
    """A registered thing by name, with the arguments to build it: ``Spec("edsr", n_feats=64)``."""

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
    """A length or a period in epochs; ``build.py`` turns it into steps once. On a command line: ``20ep``."""

    n: float

    def __str__(self) -> str:
        return f"{self.n:g}ep"


Period = int | Epochs


@dataclass(frozen=True)
class Data:
    """What the network learns from.

    Attributes:
        root: folder of the data; handed to every data set of this recipe that names no root of its own.
        train: the training set, from ``DATASETS``.
        gt_patch_px: side of the square cut from the ground truth; the input is this over the scale.
        batch_size: samples an update over all ranks together.
        augment: random flips and 90° turns, the same for input and ground truth.
        degrade: what is done to the input beyond bicubic shrinking, from ``DEGRADATIONS``, in this order;
            training only.
        cache: where decoded pictures are kept; ``memory``, ``mmap`` or ``none``.
        cache_dir: folder for ``mmap``; empty means ``$SRTRAIN_CACHE``, else the user's cache folder.
        workers: threads that assemble batches ahead of the trainer.
    """

    root: str = ""
    train: Spec = Spec("div2k_train")
    gt_patch_px: int = 96
    batch_size: int = 16
    augment: bool = True
    degrade: tuple[Spec, ...] = ()
    cache: str = "memory"
    cache_dir: str = ""
    workers: int = 1


@dataclass(frozen=True)
class Benchmark:
    """A set of whole pictures and the protocol that scores them.

    Attributes:
        data: the set, from ``DATASETS``.
        protocol: from ``PROTOCOLS``: which colour, border and rounding the PSNR is taken with.
        psnr: what the finished network is expected to reach, in dB; ``srtrain verify`` compares with it.
        ssim: the same for SSIM.
    """

    data: Spec
    protocol: str = "paper_y"
    psnr: float | None = None
    ssim: float | None = None


@dataclass(frozen=True)
class Optim:
    """How weights are updated.

    Attributes:
        optimizer: a name of ``mindcv.optim`` with its arguments.
        lr: base learning rate, which the schedule multiplies.
        schedule: from ``SCHEDULES``.
        clip_norm: largest global norm of the gradient; ``None`` leaves gradients alone.
        skip_above: skip an update whose loss is above this many times the running mean; ``None`` skips only
            what is not finite.
    """

    optimizer: Spec = Spec("adam", beta1=0.9, beta2=0.999)
    lr: float = 1e-4
    schedule: Spec = Spec("constant")
    clip_norm: float | None = None
    skip_above: float | None = None


@dataclass(frozen=True)
class Train:
    """How long, and how the loop runs. Exactly one of ``steps`` and ``epochs`` is given.

    Attributes:
        steps: number of updates.
        epochs: passes over the training set; one is ``steps_per_epoch`` updates.
        steps_per_epoch: updates an epoch; ``None`` takes pictures // batch_size, at least 1.
        log_every: period of the console, TensorBoard and ``metrics.jsonl``.
        mode: ``graph`` compiles the update, ``pynative`` runs it line by line for debugging.
        threads: threads for the CPU kernels; 0 takes all cores this process may use.
        accumulate: parts that each rank works through its share of a batch in, one after the other, to need
            less memory; the update is the same.
        sink_steps: updates at a time from a queue on the device, which the host does not wait for; hooks and the
            learning rate move at multiples of it. Ascend only.
        compile_cache: folder in which MindSpore keeps what it compiled, so that the same run starts quicker when it is
            started again, as a resume does; empty keeps nothing. Each recipe has a folder of its own in it.
    """

    steps: int | None = None
    epochs: float | None = None
    steps_per_epoch: int | None = None
    log_every: Period = 50
    mode: str = "graph"
    threads: int = 0
    accumulate: int = 1
    sink_steps: int = 1
    compile_cache: str = ""


def standard_hooks(**changes: Spec | None) -> dict[str, Spec | None]:
    """Return the hooks of an ordinary run; ``changes`` replaces, adds, or with ``None`` removes some."""
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
    """Everything about one run.

    Attributes:
        name: names the run folder.
        scale: enlargement factor; handed to the model and to every data set.
        model: from ``MODELS``.
        init: from ``INITIALISERS``: how weights start.
        init_from: a checkpoint whose weights are loaded before the first step.
        loss: from ``LOSSES``.
        precision: from ``PRECISIONS``.
        device: from ``BACKENDS``.
        benchmarks: what evaluation hooks score, by name; ``None`` removes one.
        hooks: from ``HOOKS``, by the name that overrides use; ``None`` removes one.
        plugins: plugins this recipe needs: an entry point, a module, or a ``.py`` path.
        seed: of initialisation, order and augmentation.
        run_dir: folder of this run; empty means ``runs/<name>``.
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
