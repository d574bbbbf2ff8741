"""ONNX, for ONNX Runtime and most other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindspore import nn

from srtrain.engines.exported_file import Options
from srtrain.export.format import Format
from srtrain.export.formats import FORMATS
from srtrain.export.onnx_graph import write_onnx


@FORMATS.register("onnx")
class Onnx(Format):
    """One ``.onnx`` file, which holds its metadata."""

    engine = "onnxruntime"

    def write(self, model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
        """Write the network's graph, simplified, with free sizes where none are fixed."""
        write_onnx(model, file, about, options)
