"""ONNX: the network's operators as MindSpore writes them, then folded, with free sizes and what it is inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import onnx
import onnxruntime
from mindspore import nn
from mindspore import onnx as mindspore_onnx

from srtrain.export.types import METADATA_KEY, Options

INPUT, OUTPUT = "lq", "sr"
_AXES = {0: "batch", 2: "height", 3: "width"}
_TRACED_PX = (12, 10)  # what MindSpore compiles for; the check runs smaller and larger pictures


def write_onnx(model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
    """Write a folded network.

    Args:
        model: from ``fold``.
        file: ``….onnx``, in a folder that nobody else writes to.
        about: is stored in the file's metadata.
        options: the sizes; the precision is float32 here.
    """
    raw = file.with_suffix(".raw.onnx")
    height, width = options.input_px or _TRACED_PX
    mindspore_onnx.export(
        model,
        ms.Tensor(np.zeros((options.batch or 1, 3, height, width), np.float32)),
        file_name=str(raw),
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_axes={INPUT: free_axes(options)},
    )
    simplify(raw, file)
    raw.unlink()
    graph = onnx.load(str(file))
    set_output_shape(graph, int(about["scale"]), options)
    save(graph, file, about)


def free_axes(options: Options) -> dict[int, str]:
    """Return the axes of the input that any size may take, with their names in the file."""
    fixed = {0: options.batch, 2: options.input_px, 3: options.input_px}
    return {axis: name for axis, name in _AXES.items() if fixed[axis] is None}


def simplify(source: Path, target: Path) -> None:
    """Let ONNX Runtime compute what is constant, and fold factors and sums into the convolutions before them."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def set_output_shape(model: onnx.ModelProto, scale: int, options: Options) -> None:
    """Replace the shapes that MindSpore traced at one size by what holds at all."""
    del model.graph.value_info[:]
    free = free_axes(options)
    height, width = options.input_px or (0, 0)
    shape = [
        free.get(0, options.batch),
        3,
        f"{scale}*height" if 2 in free else scale * height,
        f"{scale}*width" if 3 in free else scale * width,
    ]
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, shape))


def save(model: onnx.ModelProto, file: Path, about: dict[str, Any]) -> None:
    """Write a graph with its metadata, after ONNX's own checks.

    ONNX Runtime lists every set of operators it knows as needed; only those in use are kept, since other
    runtimes refuse what they do not know.
    """
    used = {node.domain or "" for node in model.graph.node} | {""}
    kept = [opset for opset in model.opset_import if (opset.domain or "") in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(about)})
    model.producer_name, model.producer_version = "srtrain", about["srtrain"]
    onnx.checker.check_model(model)
    onnx.save(model, str(file))
