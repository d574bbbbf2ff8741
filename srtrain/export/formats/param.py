"""ncnn: a ``.param`` file of text and a ``.bin`` file of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mindspore import nn

from srtrain.engines.exported_file import Options, json_beside
from srtrain.errors import UserError
from srtrain.export.format import Format
from srtrain.export.formats import FORMATS
from srtrain.export.ncnn_graph import write_ncnn
from srtrain.export.onnx_graph import write_onnx


@FORMATS.register("param")
class Param(Format):
    """Written from the network's ONNX graph. The format has no place for metadata, so that is in the JSON beside it."""

    engine = "ncnn"

    def prepare(self, options: Options) -> None:
        """Refuse fixed sizes.

        Raises:
            UserError: a size or a batch is fixed.
        """
        if options.input_px or options.batch:
            raise UserError("ncnn takes every size, one picture at a time: leave --input-px and --batch out.")

    def write(self, model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
        """Write both files and the JSON, which the engine reads when it checks them."""
        graph = file.with_suffix(".onnx")
        write_onnx(model, graph, about, options)
        write_ncnn(graph, file)
        graph.unlink()
        json_beside(file).write_text(json.dumps({"about": about}), encoding="utf-8")
