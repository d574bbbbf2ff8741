"""What two ranks compute together, in one launch: means in groups, and a mark that only one of them has."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

COMMAND = """
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from srtrain.cli import COMMANDS
from srtrain.device.backend import Backend, Reducer, groups_of
from srtrain.device.finite import RegisterCheck
from srtrain.device.precision import Precision
from srtrain.trainer.losses.l1 import L1
from srtrain.trainer.optim import build_optimizer
from srtrain.trainer.step import TrainStep

class Register(nn.Cell):
    def __init__(self, register, factor):
        super().__init__(auto_prefix=False)
        self.register, self.factor = register, factor

    def construct(self, blank):
        return ops.assign(self.register, self.register * self.factor + blank)

class Marking(nn.Cell):
    '''One weight; an input above 100 marks the register of this rank and shows nowhere else.'''

    def __init__(self, register):
        super().__init__()
        self.gain = ms.Parameter(Tensor([1.0]), name="gain")
        self.register = register

    def construct(self, x):
        mark = ops.cast((x > 100).any(), ms.int32)
        return ops.depend(ops.clip(x, 0, 100) * self.gain, ops.assign(self.register, self.register + mark))

@COMMANDS.register("check_ranks")
class CheckRanks:
    HELP = EXAMPLES = "write what this rank has computed"

    @staticmethod
    def add_arguments(parser):
        parser.add_argument("folder", type=Path)

    @staticmethod
    def run(args):
        backend = Backend()
        backend.start("graph", 1)
        found, rng = {}, np.random.default_rng(backend.rank)
        shapes = [(3, 5), (7,), (2, 2, 2), (1,), (40,)]
        gradients = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
        parameters = [ms.Parameter(Tensor(g), name=f"p{i}") for i, g in enumerate(gradients)]
        found |= {f"given.{i}": g for i, g in enumerate(gradients)}
        for name, group_mb in (("one", 0), ("some", 50e-6), ("each", 1e-9)):
            reducer = Reducer(parameters, 2, group_mb)
            found[f"{name}.groups"] = np.array(len(reducer.groups))
            mark = Tensor(float(backend.rank), ms.float32)
            loss, means, mark = reducer(Tensor(float(backend.rank + 1)), tuple(map(Tensor, gradients)), mark)
            found |= {f"{name}.{i}": mean.asnumpy() for i, mean in enumerate(means)}
            found |= {f"{name}.loss": loss.asnumpy(), f"{name}.mark": mark.asnumpy()}
        register = ms.Parameter(Tensor([3] * 8, ms.int32), name="register", requires_grad=False)
        model = Marking(register)
        precision = Precision()
        precision.finite = RegisterCheck(Register(register, 1), Register(register, 0))
        optimizer = build_optimizer("sgd", [model.gain], 1e-4)
        step = TrainStep(model, L1(), optimizer, reducer=Reducer([model.gain], 2), precision=precision)
        gains = []
        for i in range(4):
            x = np.full((1, 1, 2, 2), 120 if i == 1 and backend.rank == 1 else 50, np.float32)
            step(Tensor(x), Tensor(x - 1))
            gains.append(model.gain.asnumpy()[0])
        found |= {"gains": np.array(gains), "skipped": np.array(step.guard.read().n_bad)}
        np.savez(args.folder / f"rank{backend.rank}.npz", **found)
        backend.close()
        return 0
"""


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, np.ndarray]]:
    """Return what the two ranks have written."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "command.py").write_text(COMMAND)
    words = ["launch", "-n", "2", "--plugin", str(folder / "command.py"), "check_ranks", str(folder)]
    subprocess.run([sys.executable, "-m", "srtrain.cli", *words], check=True, cwd=folder, timeout=400)
    return [dict(np.load(folder / f"rank{rank}.npz")) for rank in (0, 1)]


@pytest.mark.slow
def test_gradients_in_groups_have_the_bits_of_one_message(ranks: list[dict[str, np.ndarray]]) -> None:
    assert [int(ranks[0][f"{name}.groups"]) for name in ("one", "some", "each")] == [1, 3, 5]
    for found in ranks:
        for i in range(5):
            mean = (ranks[0][f"given.{i}"] + ranks[1][f"given.{i}"]) / 2
            for name in ("one", "some", "each"):
                np.testing.assert_array_equal(found[f"{name}.{i}"], mean)
        for name in ("one", "some", "each"):
            assert (found[f"{name}.loss"], found[f"{name}.mark"]) == (1.5, 0.5)


@pytest.mark.slow
def test_a_mark_in_the_register_of_one_rank_skips_the_update_of_both(
    ranks: list[dict[str, np.ndarray]],
) -> None:
    for found in ranks:
        gains = found["gains"]
        assert gains[0] < 1  # the mark from before the first update was cleared
        assert gains[1] == gains[0]
        assert gains[2] < gains[1]
        assert int(found["skipped"]) == 1
    np.testing.assert_array_equal(ranks[0]["gains"], ranks[1]["gains"])
