"""ONNX, for ONNX Runtime and most other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from srtrain.export.format import Format
from srtrain.export.formats import FORMATS
from srtrain.export.options import PRECISIONS, Options

if TYPE_CHECKING:
    from mindspore import nn


@FORMATS.register("onnx")
class Onnx(Format):
    """One ``.onnx`` file. It holds its metadata in ``metadata_props``."""

    engine = "onnxruntime"
    packages = ("onnx", "onnxruntime")
    precisions = PRECISIONS

    def write(self, model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
        """Write the simplified graph; sizes that are not fixed are free."""
        from srtrain.export.onnx_graph import write_onnx

        write_onnx(model, file, about, options)
