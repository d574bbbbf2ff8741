"""MindIR, MindSpore's own format, for MindSpore and MindSpore Lite."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import nn

from srtrain.engines.exported_file import METADATA_KEY, Options
from srtrain.export.example import example_input
from srtrain.export.format import Format
from srtrain.export.formats import FORMATS


@FORMATS.register("mindir")
class MindIr(Format):
    """One ``.mindir`` file, which holds its metadata in MindIR's map for users."""

    engine = "mindir"

    def write(self, model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
        """Write the graph, with free sizes where none are fixed."""

        def remember(proto: Any) -> None:
            proto.user_info[METADATA_KEY] = json.dumps(about)
            proto.producer_name, proto.producer_version = "srtrain", about["srtrain"]

        ms.export(
            model, example_input(options), file_name=str(file), file_format="MINDIR", custom_func=remember
        )
