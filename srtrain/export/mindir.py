"""MindIR, MindSpore's own format, with free sizes and what it is inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from srtrain.export.types import METADATA_KEY, Options


def write_mindir(model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
    """Write a folded network; the arguments are those of ``write_onnx``."""

    def remember(proto: Any) -> None:
        """Put the metadata into MindIR's map for it, and the maker's name where it belongs."""
        proto.user_info[METADATA_KEY] = json.dumps(about)
        proto.producer_name, proto.producer_version = "srtrain", about["srtrain"]

    ms.export(model, example_input(options), file_name=str(file), file_format="MINDIR", custom_func=remember)


def example_input(options: Options) -> ms.Tensor:
    """Return a Tensor of the shape that the file is to take; it has no values where a size is free."""
    shape = [options.batch, 3, *(options.input_px or (None, None))]
    if None in shape:
        return ms.Tensor(shape=shape, dtype=ms.float32)
    return ms.Tensor(np.zeros(shape, np.float32))
