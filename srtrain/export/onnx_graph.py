"""ONNX: MindSpore writes the operators; this module simplifies the graph, frees its sizes and adds metadata."""

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
from onnx import numpy_helper

from srtrain.engines.exported import METADATA_KEY
from srtrain.engines.onnxruntime import open_failures
from srtrain.errors import ExportError
from srtrain.export.check import ADVICE
from srtrain.export.fold import take_padding_off
from srtrain.export.graph import INPUT, OUTPUT, PADDING, rename_tensors, written_as
from srtrain.export.options import Options
from srtrain.models.ensemble import channels_of

_AXES = {0: "batch", 2: "height", 3: "width"}
_NO_NUMBERS = "no_numbers"
_TRACED_PX = (20, 18)  # size for tracing; even. The check runs smaller and larger pictures


def write_onnx(model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
    """Write a folded network.

    Args:
        model: a network from ``fold``; it is changed.
        file: the file to write, ``….onnx``, in a private folder.
        about: description of the network for the metadata.
        options: the sizes; the precision is float32 here.

    Raises:
        ExportError: the network has an operator that MindSpore cannot write correctly.
    """
    raw = file.with_suffix(".raw.onnx")
    least, multiple = take_padding_off(model)
    height, width = options.input_px or _TRACED_PX
    channels = channels_of(model)
    height, width = (max(px, least) for px in (height, width))
    with written_as("ONNX"):
        mindspore_onnx.export(
            model,
            ms.Tensor(np.zeros((options.batch or 1, channels, height, width), np.float32)),
            file_name=str(raw),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: free_axes(options)},
        )
    graph = onnx.load(str(raw))
    write_out_padding(graph)
    write_out_resizing(graph)
    if least > 1 or multiple > 1:
        pad(graph, int(about["scale"]), least, multiple)
    onnx.save(graph, str(raw))
    simplify(raw, file)
    raw.unlink()
    graph = onnx.load(str(file))
    set_output_shape(graph, channels, int(about["scale"]), options)
    if options.program:
        name_ends(graph.graph, options.program.tensors)
    save(graph, file, about)


def free_axes(options: Options) -> dict[int, str]:
    """Return the axes of the input that are not fixed, with their names in the file."""
    fixed = {0: options.batch, 2: options.input_px, 3: options.input_px}
    return {axis: name for axis, name in _AXES.items() if fixed[axis] is None}


def write_out_padding(model: onnx.ModelProto) -> None:
    """Replace the named padding of convolutions by numbers, where the numbers do not depend on the size.

    MindSpore also writes numbers as (top, bottom, left, right). ONNX reads them as (top, left, bottom, right), so they
    are put into that order.

    Not every runtime supports all names. MindSpore writes SAME_UPPER for ``pad_mode="same"``, which ONNX Runtime
    refuses together with a dilation.
    """
    kernels = {tensor.name: list(tensor.dims[2:]) for tensor in model.graph.initializer}
    for node in model.graph.node:
        known = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type != "Conv":
            continue
        if known.get("auto_pad", b"NOTSET") == b"NOTSET":
            pads = next((a.ints for a in node.attribute if a.name == "pads"), [0] * 4)
            pads[1], pads[2] = pads[2], pads[1]
            continue
        padding = [0, 0, 0, 0]
        if known["auto_pad"] == b"SAME_UPPER":
            if any(stride != 1 for stride in known.get("strides", [1, 1])):
                continue
            pairs = zip(kernels[node.input[1]], known.get("dilations", [1, 1]), strict=True)
            total = [(side - 1) * dilation for side, dilation in pairs]
            padding = [px // 2 for px in total] + [px - px // 2 for px in total]
        del node.attribute[[a.name for a in node.attribute].index("auto_pad")]
        node.attribute.append(onnx.helper.make_attribute("pads", padding))


def write_out_resizing(model: onnx.ModelProto) -> None:
    """Replace the marks that ``fold.MarkResize`` left by the operator that resizes to the size of another tensor."""
    graph = model.graph
    makers = {node.output[0]: node for node in graph.node}
    marks = [
        node
        for node in graph.node
        if node.op_type == "Pow" and node.input[0] in makers and node.input[1] in makers
    ]
    nodes: list[onnx.NodeProto] = []
    means = [makers[mark.input[0]].output[0] for mark in marks]
    for node in graph.node:
        if node.output[0] in means:
            continue
        if node not in marks:
            nodes.append(node)
            continue
        small, like, sizes = makers[node.input[0]].input[0], node.input[1], f"{node.output[0]}_sizes"
        nodes.append(onnx.helper.make_node("Shape", [like], [sizes], name=sizes))
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        inputs = [small, _NO_NUMBERS, _NO_NUMBERS, sizes]
        nodes.append(
            onnx.helper.make_node("Resize", inputs, list(node.output), name=f"{node.output[0]}_resize", **how)
        )
    if marks:  # operator set 11 needs tensors for what later ones leave out
        graph.initializer.append(numpy_helper.from_array(np.zeros(0, np.float32), _NO_NUMBERS))
    del graph.node[:]
    graph.node.extend(nodes)


def pad(model: onnx.ModelProto, scale: int, least: int, multiple: int) -> None:
    """Pad the sides of the input and crop the output. MindSpore cannot write these operations for free sizes.

    Args:
        model: changed in place.
        scale: of the network.
        least: the least side that the network takes.
        multiple: 2 if sides must be even, else 1.

    The names of the new nodes start with ``PADDING``, so ``export/ncnn_graph.py`` can find and remove them.
    """
    graph = model.graph
    rename_tensors(graph.node, {name: PADDING + name for name in (INPUT, OUTPUT)})
    numbers = {"zeros": [0] * 6, "two": [2], "four": [4], "none": [0, 0], "axes": [2, 3], "scale": [scale]}
    numbers |= {"least": [least], "multiple": [multiple], "huge": [1 << 20]}
    for name, values in numbers.items():
        tensor = numpy_helper.from_array(np.array(values, np.int64), PADDING + name)
        graph.initializer.append(tensor)

    def node(kind: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
        """Return a node. ``LQ`` and ``SR`` are input and output of the graph; other names get the prefix."""
        theirs = {"LQ": INPUT, "SR": OUTPUT}
        names = [theirs.get(name, PADDING + name) for name in inputs.split()]
        to = theirs.get(output, PADDING + output)
        return onnx.helper.make_node(
            kind, names, [to], name=f"{PADDING}{kind.lower()}_{output}", **attributes
        )

    before = [
        node("Shape", "LQ", "shape"),
        node("Slice", "shape two four", "sides"),
        # The maximum of sides and least, which this operator set has for fractions only.
        node("Sub", "sides least", "above"),
        node("Add", "above huge", "shifted"),
        node("Div", "shifted huge", "is_above"),
        node("Mul", "above is_above", "kept"),
        node("Add", "kept least", "large"),
        node("Mod", "large multiple", "odd"),
        node("Sub", "large sides", "short"),
        node("Add", "short odd", "missing"),
        node("Concat", "zeros missing", "pads", axis=0),
        node("Pad", "LQ pads", "lq", mode="edge"),
    ]
    after = [node("Mul", "sides scale", "ends"), node("Slice", "sr none ends axes", "SR")]
    whole = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(whole)


def simplify(source: Path, target: Path) -> None:
    """Let ONNX Runtime compute constants, and fold factors and sums into the convolutions before them.

    Raises:
        ExportError: the graph from MindSpore is not valid, which happens with some operators.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # failures are raised
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    try:
        onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    except open_failures() as error:
        raise ExportError(
            f"MindSpore's ONNX of this network cannot be run: {str(error).strip()} {ADVICE}"
        ) from error


def set_output_shape(model: onnx.ModelProto, channels: int, scale: int, options: Options) -> None:
    """Replace the shapes of the traced size by symbolic ones."""
    del model.graph.value_info[:]
    free = free_axes(options)
    height, width = options.input_px or (0, 0)
    times = "" if scale == 1 else f"{scale}*"
    shape = [
        free.get(0, options.batch),
        channels,
        f"{times}height" if 2 in free else scale * height,
        f"{times}width" if 3 in free else scale * width,
    ]
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, shape))


def name_ends(graph: onnx.GraphProto, names: tuple[str, str]) -> None:
    """Rename input and output."""
    new = dict(zip((INPUT, OUTPUT), names, strict=True))
    rename_tensors(graph.node, new)
    for value in (*graph.input, *graph.output):
        value.name = new.get(value.name, value.name)


def save(model: onnx.ModelProto, file: Path, about: dict[str, Any]) -> None:
    """Check a graph with ONNX, and write it with its metadata.

    ONNX Runtime declares every operator set that it knows. Only the sets in use are kept, because other runtimes refuse
    unknown sets.
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
