"""MindIR, MindSpore's own format, for MindSpore and MindSpore Lite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from srtrain.export.format import Format
from srtrain.export.formats import FORMATS
from srtrain.export.options import Options

if TYPE_CHECKING:
    from mindspore import nn


@FORMATS.register("mindir")
class MindIr(Format):
    """One ``.mindir`` file. It holds its metadata in ``user_info``."""

    engine = "mindir"

    def write(self, model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
        """Write the graph; sizes that are not fixed are free."""
        from srtrain.export.mindspore_graph import write_mindir

        write_mindir(model, file, about, options)
