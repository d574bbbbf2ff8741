"""Write the inputs and outputs of every operator, to find where numbers begin to differ."""

from __future__ import annotations

import json
import os
from pathlib import Path

from srtrain.errors import HookError, RecipeError
from srtrain.files import write_whole
from srtrain.hooks import HOOKS
from srtrain.trainer.api import TrainerApi
from srtrain.trainer.hook import FIRST, Hook
from srtrain.trainer.owned import own

VARIABLE = "MINDSPORE_DUMP_CONFIG"

own("dump")


@HOOKS.register("dump")
class DumpHook(Hook):
    """Makes MindSpore write tensors of compiled graphs to ``<run>/dump``, as ``.npy`` files.

    It covers every graph that runs after the start, so leave out hooks that evaluate. The files of one update of a
    large network take gigabytes.

    Args:
        runs: numbers of the runs of a graph to write, from 0, such as ``"0"``, ``"0|5-8"`` or ``"all"``.
        operators: only operators whose name contains one of these; empty writes all.
        overflow_only: on a card, write only operators that overflowed.
    """

    order = FIRST  # MindSpore reads the configuration when the first graph runs

    def __init__(self, runs: str = "0", operators: tuple[str, ...] = (), overflow_only: bool = False) -> None:
        if not runs:
            raise RecipeError(
                "hooks.dump.runs is empty. Write the numbers of runs, such as '0' or '0|5-8', or 'all'."
            )
        self.runs = runs
        self.operators = operators
        self.overflow_only = overflow_only

    def setup(self, trainer: TrainerApi) -> None:
        """Check what the device and the environment allow.

        Raises:
            HookError: the environment has a configuration already.
            RecipeError: overflows are asked for on a device that does not report them.
        """
        config = str(self._file(trainer))
        if os.environ.get(VARIABLE, config) != config:
            raise HookError(f"{VARIABLE} is set to {os.environ[VARIABLE]!r}. Unset it to use the hook dump.")
        if self.overflow_only and trainer.backend.target != "Ascend":
            raise RecipeError("hooks.dump.overflow_only = True works on Ascend cards only. Leave it out.")

    def before_train(self, trainer: TrainerApi) -> None:
        """Write the configuration, and point MindSpore to it. Before, the run could still be refused."""
        file = self._file(trainer)
        file.parent.mkdir(exist_ok=True)
        write_whole(file, json.dumps(self._config(str(file.parent)), indent=2))
        os.environ[VARIABLE] = str(file)
        trainer.log.info(f"dump: the tensors of runs {self.runs} of each graph are written to {file.parent}")

    @staticmethod
    def _file(trainer: TrainerApi) -> Path:
        return trainer.run_dir.resolve() / "dump" / f"config.rank{trainer.backend.rank}.json"

    def _config(self, folder: str) -> dict[str, dict[str, object]]:
        return {
            "common_dump_settings": {
                "op_debug_mode": 3 if self.overflow_only else 0,
                "dump_mode": 1 if self.operators else 0,
                "path": folder,
                "net_name": "update",
                "iteration": self.runs,
                "saved_data": "tensor",
                "input_output": 0,
                "kernels": list(self.operators),
                "support_device": list(range(8)),
            },
            "e2e_dump_settings": {"enable": True, "trans_flag": True},
        }
