"""AIR, the input of Ascend's compiler ATC. MindSpore has deprecated it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srtrain.errors import DeviceError, UserError
from srtrain.export.format import Format
from srtrain.export.formats import FORMATS
from srtrain.export.options import Options

if TYPE_CHECKING:
    from mindspore import nn


@FORMATS.register("air")
class Air(Format):
    """One ``.air`` file, which only an Ascend NPU runs. The metadata is in the JSON beside it."""

    target = "Ascend"

    def prepare(self, options: Options) -> None:
        """Check the sizes, and that there is an Ascend device, without which MindSpore cannot write AIR.

        Raises:
            DeviceError: there is no Ascend back end.
            UserError: a size is not fixed.
        """
        import mindspore as ms

        if not ms.hal.is_available("Ascend"):
            raise DeviceError(
                "AIR is written by MindSpore's Ascend back end, which this machine does not have. It needs an NPU and "
                "the CANN toolkit (source Ascend's set_env.sh first). Export to .mindir or .onnx instead, which works "
                "on any machine; ATC also reads ONNX (--framework=5)."
            )
        if options.input_px is None or options.batch is None:
            raise UserError("AIR files have fixed sizes: add --input-px HEIGHTxWIDTH and --batch N.")

    def write(self, model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
        """Write the graph."""
        print(
            "note: MindSpore has deprecated AIR and will remove it. ATC also reads ONNX (--framework=5), and MindSpore "
            "Lite reads .mindir.",
            file=sys.stderr,
        )
        from srtrain.export.mindspore_graph import write_air

        write_air(model, file, options)
