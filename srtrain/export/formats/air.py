"""AIR, the input of Ascend's compiler ATC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import nn

from srtrain.engines.exported_file import Options
from srtrain.errors import DeviceError, UserError
from srtrain.export.example import example_input
from srtrain.export.format import Format
from srtrain.export.formats import FORMATS


@FORMATS.register("air")
class Air(Format):
    """One ``.air`` file, which only an Ascend NPU runs. It has no metadata: that is in the JSON beside it."""

    def prepare(self, options: Options) -> None:
        """Take the Ascend device, which is what writes AIR.

        Raises:
            DeviceError: there is no Ascend back end.
            UserError: sizes that are not fixed.
        """
        if not ms.hal.is_available("Ascend"):
            raise DeviceError(
                "AIR is written by MindSpore's Ascend back end, and there is none here: it needs an NPU and the CANN "
                "toolkit (source Ascend's set_env.sh first). Export to .mindir or .onnx instead, which any machine "
                "writes; ATC reads ONNX as well (--framework=5)."
            )
        if options.input_px is None or options.batch is None:
            raise UserError("AIR holds fixed sizes: add --input-px HEIGHTxWIDTH and --batch N.")
        ms.set_device("Ascend")

    def write(self, model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
        """Write the graph."""
        ms.export(model, example_input(options), file_name=str(file), file_format="AIR")
