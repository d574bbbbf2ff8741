"""A new hook, model, block, loss, … is one new file: it is found, and no other file changes."""

import os
import shutil
import subprocess
import sys

import pytest

NEW_FILES = {
    "hooks/new_hook.py": """
from srtrain.hooks import HOOKS, Hook

@HOOKS.register("new_hook")
class NewHook(Hook):
    def after_step(self, trainer, out):
        trainer.log.info(f"the new hook saw update {trainer.step}")
""",
    "models/new_model.py": """
from mindspore import nn

from srtrain.models import BLOCKS, MODELS
from srtrain.models.blocks import PixelShuffle, conv

@MODELS.register("new_model", from_run=("scale",))
class NewModel(nn.Cell):
    def __init__(self, scale, block):
        super().__init__()
        self.block = BLOCKS.build(block)
        self.tail = conv(3, 3 * scale * scale)
        self.shuffle = PixelShuffle(scale)

    def construct(self, lq):
        return self.shuffle(self.tail(self.block(lq)))
""",
    "models/blocks/new_block.py": """
from mindspore import nn

from srtrain.models import BLOCKS

@BLOCKS.register("new_block")
class NewBlock(nn.Cell):
    def construct(self, x):
        return x + 1
""",
    "models/new_start.py": """
from srtrain.models import INITIALISERS

@INITIALISERS.register("new_start")
def new_start():
    return lambda generator, kind, shape: generator.uniform(-0.01, 0.01, shape if kind == "weight" else shape[:1])
""",
    "trainer/losses/new_loss.py": """
from mindspore import nn, ops

from srtrain.trainer.losses import LOSSES

@LOSSES.register("new_loss")
class NewLoss(nn.Cell):
    def construct(self, sr, gt):
        return ops.mean((sr - gt) ** 2) * 0 + 1234
""",
    "trainer/schedules/new_schedule.py": """
from srtrain.trainer.schedules import SCHEDULES

@SCHEDULES.register("new_schedule")
def new_schedule():
    return lambda step: 0.125
""",
    "data/new_set.py": """
from srtrain.data import DATASETS
from srtrain.data.embedded import embedded

@DATASETS.register("new_set", from_run=("scale",))
def new_set(scale):
    return embedded(scale, names=("chelsea",))
""",
    "data/new_noise.py": """
from srtrain.data import DEGRADATIONS

@DEGRADATIONS.register("new_noise")
class NewNoise:
    before_shrinking = False
    margin_px = 0

    def __call__(self, picture, rng):
        return 255 - picture
""",
    "metrics/new_protocol.py": """
from srtrain.metrics import PROTOCOLS
from srtrain.metrics.protocol import Protocol

@PROTOCOLS.register("new_protocol")
def new_protocol():
    return Protocol("new_protocol", colour="rgb")
""",
    "device/new_precision.py": """
from srtrain.device import PRECISIONS
from srtrain.device.precision import Precision

@PRECISIONS.register("new_precision")
class NewPrecision(Precision):
    pass
""",
    "device/new_cpu.py": """
from srtrain.device import BACKENDS
from srtrain.device.backend import Backend

@BACKENDS.register("new_cpu")
class NewCpu(Backend):
    pass
""",
    "commands/new_command.py": """
HELP = "a new command"
EXAMPLES = ""

def add_arguments(parser):
    parser.add_argument("number", type=int)

def run(args):
    print(f"the new command got {args.number}")
    return 0
""",
}

NEW_FORMAT = """
import json

from srtrain.export.format import Format
from srtrain.export.formats import FORMATS

@FORMATS.register("{suffix}")
class NewFormat(Format):
    def write(self, model, file, about, options):
        file.write_text(json.dumps(about))
"""

NEW_ENGINE = """
import json

import numpy as np

from srtrain.engines import ENGINES
from srtrain.engines.engine import Engine

@ENGINES.register("{suffix}_engine")
class NewEngine(Engine):
    name = "{suffix}_engine"
    suffixes = (".{suffix}",)

    def __init__(self, path, threads=0):
        self.path = path
        self.about = json.loads(path.read_text())
        self.scale = self.about["scale"]
        print("{suffix}_engine opened", path.name)

    def __call__(self, lq):
        return np.kron(lq, np.ones((1, 1, self.scale, self.scale), lq.dtype))
"""

RECIPE = """
from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train

def recipe():
    return Recipe(
        name="new",
        scale=2,
        model=Spec("new_model", block="new_block"),
        data=Data(train=Spec("new_set"), degrade=(Spec("new_noise"),), gt_patch_px=16, batch_size=1),
        train=Train(steps=1, log_every=1),
        loss=Spec("new_loss"),
        init=Spec("new_start"),
        optim=Optim(schedule=Spec("new_schedule"), lr=0.5),
        precision=Spec("new_precision"),
        device=Spec("new_cpu"),
        benchmarks={"new": Benchmark(Spec("new_set"), protocol="new_protocol")},
        hooks={name: Spec(name) for name in ("lr", "checkpoint", "evaluate", "new_hook", "console")},
    )
"""

COMMANDS = """
import sys

import srtrain
from srtrain.cli.main import main

print("package", srtrain.__file__, flush=True)
for words in sys.argv[1:]:
    assert main(words.split()) == 0, words
"""


@pytest.fixture(scope="module")
def output(repo_root, tmp_path_factory):
    """Run all commands in one process on a copy of the package with the new files; return what they print."""
    folder = tmp_path_factory.mktemp("copy")
    package = folder / "srtrain"
    shutil.copytree(repo_root / "srtrain", package, ignore=shutil.ignore_patterns("__pycache__"))
    files = {
        **NEW_FILES,
        "export/formats/new.py": NEW_FORMAT.format(suffix="new"),
        "engines/new_engine.py": NEW_ENGINE.format(suffix="new"),
    }
    for name, text in files.items():
        assert not (package / name).exists()
        (package / name).write_text(text)
    (folder / "plugin.py").write_text(NEW_FORMAT.format(suffix="other") + NEW_ENGINE.format(suffix="other"))
    (folder / "recipe.py").write_text(RECIPE)
    (folder / "all.py").write_text(COMMANDS)
    shutil.copy(package / "data" / "pictures" / "chelsea.png", folder / "cat.png")
    commands = [
        "new_command 7",
        "run recipe.py",
        "export runs/new --to net.new",
        "infer net.new cat.png --to large.png --tile 200",
        "export runs/new --to net.other --plugin plugin.py",
        "infer net.other cat.png --to larger.png --tile 200 --plugin plugin.py",
    ]
    done = subprocess.run(
        [sys.executable, "all.py", *commands],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "SRTRAIN_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert f"package {package}" in done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "the new command got 7",
        "the new hook saw update 1",
        "loss 1234.0",
        "lr 0.0625",
        "new_protocol (RGB, 2 px border, 8 bit)",
        "wrote net.new",
        "new_engine opened net.new",
        "wrote net.other",
        "other_engine opened net.other",
    ],
)
def test_each_new_file_is_used(output, text):
    assert text in output
