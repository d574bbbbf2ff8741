"""MindIR and AIR, which MindSpore writes itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from srtrain.engines.exported import METADATA_KEY
from srtrain.export.graph import written_as
from srtrain.export.options import Options
from srtrain.models.ensemble import channels_of


def write_mindir(model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
    """Write a folded network as MindIR, with ``about`` in its metadata."""

    def add_metadata(proto: Any) -> None:
        proto.user_info[METADATA_KEY] = json.dumps(about)
        proto.producer_name, proto.producer_version = "srtrain", about["srtrain"]

    with written_as("MindIR"):
        ms.export(
            model,
            _example(model, options),
            file_name=str(file),
            file_format="MINDIR",
            custom_func=add_metadata,
        )


def write_air(model: nn.Cell, file: Path, options: Options) -> None:
    """Write a folded network as AIR, on an Ascend device and for fixed sizes."""
    with written_as("AIR"):
        ms.export(model, _example(model, options), file_name=str(file), file_format="AIR")


def _example(model: nn.Cell, options: Options) -> ms.Tensor:
    """Return the input to trace the network with; it has no values if a size is free."""
    shape = [options.batch, channels_of(model), *(options.input_px or (None, None))]
    if None in shape:
        return ms.Tensor(shape=shape, dtype=ms.float32)
    return ms.Tensor(np.zeros(shape, np.float32))
