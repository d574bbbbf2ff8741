"""AIR, the format of Ascend's ATC compiler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import nn

from srtrain.errors import DeviceError, UserError
from srtrain.export.mindir import example_input
from srtrain.export.types import Options


def claim_ascend(options: Options) -> None:
    """Make sure that AIR can be written; to be called before anything is computed.

    Raises:
        DeviceError: there is no Ascend back end.
        UserError: sizes that are not fixed.
    """
    if not ms.hal.is_available("Ascend"):
        raise DeviceError(
            "AIR is written by MindSpore's Ascend back end, and there is none here: it needs an NPU and the CANN "
            "toolkit (source Ascend's set_env.sh first). Export to .mindir or .onnx, which any machine writes; its "
            "compiler ATC takes ONNX as well (--framework=5)."
        )
    if options.input_px is None or options.batch is None:
        raise UserError("AIR holds fixed sizes: add --input-px HEIGHTxWIDTH and --batch N.")
    ms.set_device("Ascend")


def write_air(model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
    """Write a folded network; AIR has no place for metadata, so that the JSON beside the file is all there is."""
    ms.export(model, example_input(options), file_name=str(file), file_format="AIR")
