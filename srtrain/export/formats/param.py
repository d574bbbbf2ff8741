"""ncnn: a ``.param`` file of text and a ``.bin`` file of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srtrain.engines.exported import json_beside
from srtrain.errors import ExportError, UserError
from srtrain.export.format import Format
from srtrain.export.formats import FORMATS
from srtrain.export.options import Options
from srtrain.export.programs import Program
from srtrain.models.receptive import size_multiple

if TYPE_CHECKING:
    from mindspore import nn


def check_for(program: Program, layers: set[str], about: dict[str, Any]) -> None:
    """Check that a program can run a network.

    Raises:
        ExportError: it cannot load a layer, or gives the network sizes that the network does not take.
    """
    if size_multiple(about) > 1:
        raise ExportError(
            f"this network takes pictures with even sides only, and {program.name} also runs ncnn files on others. "
            f"Export it to .onnx, which continues such pictures itself."
        )
    if unknown := sorted(layers & set(program.unknown_layers)):
        raise ExportError(
            f"{program.name} cannot load the layers {', '.join(unknown)} of this network. Export it to .onnx."
        )


@FORMATS.register("param")
class Param(Format):
    """Two files, translated from the ONNX graph. The metadata is in the JSON beside them."""

    engine = "ncnn"
    packages = ("onnx", "onnxruntime", "ncnn")
    plain = True

    def prepare(self, options: Options) -> None:
        """Refuse fixed sizes.

        Raises:
            UserError: a size or a batch is fixed.
        """
        if options.input_px or options.batch:
            raise UserError(
                "ncnn files accept every size, one picture at a time: remove --input-px and --batch."
            )

    def write(self, model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
        """Write both files, and the JSON that the ncnn engine reads."""
        from srtrain.export.ncnn_graph import write_ncnn
        from srtrain.export.onnx_graph import write_onnx

        graph = file.with_suffix(".onnx")
        write_onnx(model, graph, about, options)
        layers = write_ncnn(graph, file)
        if options.program:
            check_for(options.program, layers, about)
        graph.unlink()
        json_beside(file).write_text(json.dumps({"about": about}), encoding="utf-8")
