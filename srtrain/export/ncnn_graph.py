"""ncnn: translate an ONNX graph to ncnn's layers, a ``.param`` file of text and a ``.bin`` file of float32 weights.

ncnn's own converters cannot translate DepthToSpace in DCR order, which our networks use, although ncnn supports it.
Sizes are always free in ncnn, and it runs one picture at a time.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from srtrain.arrays import Float32
from srtrain.errors import UnsupportedError
from srtrain.export.graph import INPUT, OUTPUT, PADDING, rename_tensors

_MAGIC = 7767517  # the first line of every .param file
_FLOAT32 = struct.pack("<I", 0)  # marks the weights that follow as float32
_BINARY = {"Add": 0, "Sub": 1, "Mul": 2, "Div": 3, "Max": 4}
_MEAN = 3  # operation of a reduction
_SQRT = 5  # operation of one operand
_RELU = 1  # activation_type of a convolution
_TO_THE_END = -233

Attributes = dict[str, Any]
Params = dict[int, int | float | list[int]]


def write_ncnn(source: Path, file: Path) -> set[str]:
    """Write ``file`` (``….param``) and the ``.bin`` beside it; return the kinds of its layers.

    Args:
        source: a float32 ONNX file with one input and one output.
        file: the ``.param`` file, in a private folder.

    Raises:
        UnsupportedError: an operator, or a use of one, cannot be translated; the message names it.
    """
    writer = _Writer(onnx.load(str(source)).graph)
    writer.translate()
    n_blobs = len({blob for layer in writer.layers for blob in layer.inputs + layer.outputs})
    lines = [str(_MAGIC), f"{len(writer.layers)} {n_blobs}", *map(str, writer.layers)]
    file.write_text("\n".join(lines) + "\n", encoding="ascii")
    file.with_suffix(".bin").write_bytes(writer.weights)
    return {layer.kind for layer in writer.layers}


def take_padding_off(graph: onnx.GraphProto) -> None:
    """Remove the padding of the picture that ``onnx_graph.py`` added. ncnn lacks the operators, so its engine pads."""
    kept = [node for node in graph.node if not node.name.startswith(PADDING)]
    if len(kept) == len(graph.node):
        return
    rename_tensors(kept, {PADDING + name: name for name in (INPUT, OUTPUT)})
    del graph.node[:]
    graph.node.extend(kept)


class _Layer:
    """One line of a ``.param`` file."""

    def __init__(self, kind: str, name: str, inputs: list[str], outputs: list[str], params: str) -> None:
        self.kind, self.name, self.inputs, self.outputs, self.params = kind, name, inputs, outputs, params

    def __str__(self) -> str:
        words = [f"{self.kind:<16} {self.name:<16}", f"{len(self.inputs)} {len(self.outputs)}"]
        return " ".join([*words, *self.inputs, *self.outputs, self.params]).rstrip()


class _Writer:
    """Translates the nodes of a graph in their order, which ONNX guarantees to be an order of computation.

    In ncnn, a tensor ("blob") can be read once. If several layers read it, a layer ``Split`` copies it.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.layers: list[_Layer] = []
        self.weights = bytearray()
        take_padding_off(graph)
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.uses = Counter(name for node in graph.node for name in node.input)
        self.uses.update(output.name for output in graph.output)
        self.readers = {name: node for node in graph.node for name in node.input}
        self.blobs: dict[str, list[str]] = {}  # copies of each tensor that no layer reads yet
        self.done: set[str] = set()  # nodes that were fused into an earlier layer, by their first output
        self.kinds: dict[str, Callable[[onnx.NodeProto, Attributes], None]] = {
            "Conv": self.convolution,
            "Relu": self.relu,
            "Concat": self.concat,
            "Split": self.split,
            "Slice": self.slice,
            "DepthToSpace": self.depth_to_space,
            "Gather": self.gather,
            "AveragePool": self.pool,
            "MaxPool": self.pool,
            "ReduceMean": self.mean,
            "Sqrt": self.sqrt,
            "Sigmoid": self.sigmoid,
            "Resize": self.resize,
            **dict.fromkeys(_BINARY, self.binary),
        }

    def translate(self) -> None:
        """Translate every node."""
        inputs = [value.name for value in self.graph.input if value.name not in self.constants]
        if len(inputs) != 1 or len(self.graph.output) != 1:
            raise UnsupportedError("ncnn: only graphs with one input and one output can be translated.")
        self.add("Input", [], inputs)
        for node in self.graph.node:
            if node.op_type == "Shape" and self.readers[node.output[0]].op_type == "Resize":
                continue  # ncnn reads the size itself
            if node.output[0] in self.done:
                continue
            if node.op_type not in self.kinds:
                raise self.unsupported(node, "the operator")
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            self.kinds[node.op_type](node, attributes)

    def unsupported(self, node: onnx.NodeProto, what: str) -> UnsupportedError:
        """Return the error for a node that cannot be translated; ``what`` is the part that is not supported."""
        return UnsupportedError(
            f"ncnn: {what} of {node.op_type} ({node.output[0]!r}) is not translated (srtrain/export/ncnn_graph.py). "
            f"ONNX Runtime supports it: export to .onnx, or use --engine onnxruntime."
        )

    def add(
        self, kind: str, inputs: Iterable[str], outputs: Sequence[str], params: Params | None = None
    ) -> None:
        """Append a layer, and a ``Split`` for each output that is read more than once.

        The keys of ``params`` are ncnn's numbers of the parameters.
        """
        words = [
            f"{-23300 - number}={','.join(map(str, [len(value), *value]))}"
            if isinstance(value, list)
            else f"{number}={value!r}"
            for number, value in (params or {}).items()
        ]
        name = f"{kind.lower()}{len(self.layers)}"
        read = [self.read(tensor) for tensor in inputs]
        self.layers.append(_Layer(kind, name, read, list(outputs), " ".join(words)))
        for output in outputs:
            copies = [output]
            if self.uses[output] > 1:
                copies = [f"{output}_{k}" for k in range(self.uses[output])]
                self.layers.append(_Layer("Split", f"split{len(self.layers)}", [output], copies, ""))
            self.blobs[output] = list(copies)

    def read(self, tensor: str) -> str:
        """Return the next unread copy of a tensor."""
        return self.blobs[tensor].pop(0)

    def store(self, *arrays: Float32) -> None:
        """Append weights as little-endian float32."""
        for array in arrays:
            self.weights += np.ascontiguousarray(array, "<f4").tobytes()

    def convolution(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        """Translate Conv, together with a ReLU that follows it."""
        if node.input[1] not in self.constants or (
            len(node.input) > 2 and node.input[2] not in self.constants
        ):
            raise self.unsupported(node, "a computed kernel")
        weight = self.constants[node.input[1]]
        n_out, _, height, width = weight.shape
        bias = self.constants[node.input[2]] if len(node.input) > 2 else np.zeros(n_out, np.float32)
        if attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
            raise self.unsupported(node, f"the padding {attributes['auto_pad'].decode()}")
        top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
        dilation, stride = attributes.get("dilations", [1, 1]), attributes.get("strides", [1, 1])
        groups = attributes.get("group", 1)
        after = self.readers.get(node.output[0])
        fused = after is not None and after.op_type == "Relu" and self.uses[node.output[0]] == 1
        output = node.output[0]
        if after is not None and fused:
            output = after.output[0]
            self.done.add(output)
        params: Params = {0: n_out, 1: width, 11: height, 2: dilation[1], 12: dilation[0]}
        params |= {3: stride[1], 13: stride[0], 4: left, 14: top, 15: right, 16: bottom}
        params |= {5: 1, 6: weight.size, 9: _RELU if fused else 0}
        params |= {7: groups} if groups > 1 else {}
        kind = "Convolution" if groups == 1 else "ConvolutionDepthWise"
        self.add(kind, [node.input[0]], [output], params)
        self.weights += _FLOAT32
        self.store(weight, bias)

    def relu(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        """Translate a Relu that was not fused into a convolution."""
        self.add("ReLU", [node.input[0]], [node.output[0]])

    def binary(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        """Translate arithmetic of two tensors, of a tensor and a number, or of a tensor and one number per channel."""
        constants = [name for name in node.input if name in self.constants]
        code, output = _BINARY[node.op_type], [node.output[0]]
        if len(node.input) != 2:
            raise self.unsupported(node, f"the number of operands, {len(node.input)},")
        if not constants:
            self.add("BinaryOp", list(node.input), output, {0: code})
            return
        if node.op_type in ("Sub", "Div") and constants[0] == node.input[0]:
            raise self.unsupported(node, "a constant left operand")
        tensor = [name for name in node.input if name not in self.constants]
        value = self.constants[constants[0]].astype(np.float32)
        if value.size == 1:
            self.add("BinaryOp", tensor, output, {0: code, 1: 1, 2: float(value.reshape(()))})
            return
        if value.ndim not in (3, 4) or value.size != value.shape[-3]:
            raise self.unsupported(node, f"a constant of shape {value.shape}")
        if node.op_type == "Max":
            raise self.unsupported(node, "a constant for each channel")
        if node.op_type in ("Add", "Sub"):
            self.add("Bias", tensor, output, {0: value.size})
            self.store(value if node.op_type == "Add" else -value)
        else:
            self.add("Scale", tensor, output, {0: value.size, 1: 0})
            self.store(value if node.op_type == "Mul" else 1 / value)

    def concat(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        """Translate Concat of channels."""
        self.check_axis(node, attributes.get("axis", 1))
        if any(name in self.constants for name in node.input):
            raise self.unsupported(node, "a constant operand")
        self.add("Concat", list(node.input), [node.output[0]], {0: 0})

    def split(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        """Translate Split of channels."""
        self.check_axis(node, attributes.get("axis", 0))
        sizes = attributes.get("split")
        if len(node.input) > 1:  # operator sets from 13 on store the sizes here
            sizes = self.constants[node.input[1]].tolist()
        if sizes is None:
            raise self.unsupported(node, "a division without sizes")
        self.add("Slice", [node.input[0]], list(node.output), {0: list(sizes), 1: 0})

    def slice(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        """Translate Slice to a range of channels; the other axes must be whole."""
        if len(node.input) < 4 or any(name not in self.constants for name in node.input[1:]):
            raise self.unsupported(node, "a computed range")
        ranges = [self.constants[name].tolist() for name in node.input[1:]]
        steps = ranges[3] if len(ranges) > 3 else [1] * len(ranges[0])
        channels = [0, np.iinfo(np.int64).max]
        for start, end, axis, step in zip(*ranges[:3], steps, strict=True):
            if axis % 4 == 1 and step == 1 and start >= 0:
                channels = [start, end]
            elif (start, step) != (0, 1) or end < np.iinfo(np.int32).max:
                raise self.unsupported(node, f"a range {start}:{end}:{step} of axis {axis}")
        end = channels[1] if 0 < channels[1] < np.iinfo(np.int32).max else _TO_THE_END
        self.add("Crop", [node.input[0]], [node.output[0]], {9: [channels[0]], 10: [end], 11: [0]})

    def depth_to_space(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        """Translate DepthToSpace; ncnn's PixelShuffle knows two orders of channels: 0 is CRD (PyTorch), 1 is DCR."""
        order = int(attributes.get("mode", b"DCR") == b"DCR")
        self.add("PixelShuffle", [node.input[0]], [node.output[0]], {0: attributes["blocksize"], 1: order})

    def gather(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        """Translate Gather of all channels to ShuffleChannel, if it interleaves groups of channels."""
        self.check_axis(node, attributes.get("axis", 0))
        order = self.constants.get(node.input[1])
        if order is None:
            raise self.unsupported(node, "a computed order")
        n_groups = int(np.argmax(np.append(order, 1) == 1)) if order.size > 1 else 1
        dealt = (
            np.arange(order.size).reshape(n_groups, -1) if n_groups and order.size % n_groups == 0 else None
        )
        if dealt is None or not np.array_equal(order.reshape(-1), dealt.T.reshape(-1)):
            raise self.unsupported(node, "a selection of channels")
        self.add("ShuffleChannel", [node.input[0]], [node.output[0]], {0: n_groups})

    def pool(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        """Translate AveragePool and MaxPool without padding."""
        (height, width), strides = attributes["kernel_shape"], attributes.get("strides", [1, 1])
        padded = any(attributes.get("pads", [])) or attributes.get("auto_pad", b"NOTSET") not in (
            b"NOTSET",
            b"VALID",
        )
        if padded or attributes.get("ceil_mode", 0):
            raise self.unsupported(node, "a padding")
        average = int(node.op_type == "AveragePool")
        params: Params = {0: average, 1: width, 11: height, 2: strides[1], 12: strides[0], 5: 1}
        self.add("Pooling", [node.input[0]], [node.output[0]], params)

    def mean(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        """Translate ReduceMean over height and width."""
        axes = attributes.get("axes")
        if len(node.input) > 1:  # operator sets from 18 on store the axes here
            axes = self.constants[node.input[1]].tolist()
        if sorted(axis % 4 for axis in axes or ()) != [2, 3] or not attributes.get("keepdims", 1):
            raise self.unsupported(node, f"the axes {axes}")
        # 5 chooses the numbering of axes without the batch.
        self.add("Reduction", [node.input[0]], [node.output[0]], {0: _MEAN, 1: 0, 3: [1, 2], 4: 1, 5: 1})

    def sqrt(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        """Translate Sqrt."""
        self.add("UnaryOp", [node.input[0]], [node.output[0]], {0: _SQRT})

    def sigmoid(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        """Translate Sigmoid."""
        self.add("Sigmoid", [node.input[0]], [node.output[0]])

    def resize(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        """Translate Resize to the size of another tensor, which ``onnx_graph.py`` writes."""
        shape = next((maker for maker in self.graph.node if node.input[-1] in maker.output), None)
        if shape is None or shape.op_type != "Shape" or attributes.get("mode") != b"linear":
            raise self.unsupported(node, "a size")
        if attributes.get("coordinate_transformation_mode", b"half_pixel") != b"half_pixel":
            raise self.unsupported(node, "the place of pixels")
        # Bilinear (2), to the size of the second input (5), without aligned corners (6).
        self.add("Interp", [node.input[0], shape.input[0]], [node.output[0]], {0: 2, 5: 1, 6: 0})

    def check_axis(self, node: onnx.NodeProto, axis: int) -> None:
        """Refuse every axis except the channels."""
        if axis % 4 != 1:
            raise self.unsupported(node, f"axis {axis}")
