"""An ONNX graph as a list of steps that the library of convolutions runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from srtrain.arrays import Float32
from srtrain.errors import UnsupportedError

if TYPE_CHECKING:
    import onnx

_POINTWISE: dict[str, np.ufunc] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
}


@dataclass(frozen=True)
class Step:
    """One step of a network. Tensors are known by name.

    Attributes:
        reads: one tensor, or two whose sum is taken.
        writes: a tensor.
    """

    reads: tuple[str, ...]
    writes: str


@dataclass(frozen=True)
class Conv(Step):
    """A convolution, with what follows it: a ReLU, then a sum with a second tensor read, or a pixel shuffle."""

    weight: Float32
    bias: Float32
    relu: bool
    shuffle: int


@dataclass(frozen=True)
class Affine(Step):
    """An operation of each channel with a constant, of shape (1, 1, C)."""

    apply: np.ufunc
    constant: Float32


@dataclass(frozen=True)
class Sum(Step):
    """The sum of two tensors."""


@dataclass(frozen=True)
class Program:
    """A whole network with one input and one output."""

    source: str
    result: str
    steps: tuple[Step, ...]


def translate(model: onnx.ModelProto) -> Program:
    """Return the steps of a graph.

    Raises:
        UnsupportedError: the graph has an operator, or a use of one, that the library does not have.
    """
    return _Translator(model.graph).program()


class _Translator:
    """Walks a graph in its order, and joins to a convolution what only it is read by."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        from onnx import helper, numpy_helper  # optional, and slow to import

        self.graph = graph
        self.value_of = helper.get_attribute_value
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.n_uses = Counter(name for node in graph.node for name in node.input)
        self.n_uses.update(output.name for output in graph.output)
        self.readers = {name: node for node in graph.node for name in node.input}
        self.written = {value.name for value in graph.input if value.name not in self.constants}
        self.joined: set[str] = set()
        self.steps: list[Step] = []

    def program(self) -> Program:
        inputs = [value for value in self.graph.input if value.name not in self.constants]
        if len(inputs) != 1 or len(self.graph.output) != 1:
            raise UnsupportedError("native: only a graph with one input and one output can be run.")
        for node in self.graph.node:
            if node.output[0] not in self.joined:
                self.add(node)
        return Program(inputs[0].name, self.graph.output[0].name, tuple(self.steps))

    def add(self, node: onnx.NodeProto) -> None:
        constants = [name for name in node.input if name in self.constants]
        if node.op_type == "Conv":
            self.convolution(node)
        elif node.op_type in _POINTWISE and constants == [node.input[1]]:
            self.affine(node)
        elif node.op_type == "Add" and not constants:
            self.put(Sum((node.input[0], node.input[1]), node.output[0]))
        else:
            raise self.unsupported(node, "the operator")

    def put(self, step: Step) -> None:
        self.steps.append(step)
        self.written.add(step.writes)

    def convolution(self, node: onnx.NodeProto) -> None:
        attributes = {a.name: self.value_of(a) for a in node.attribute}
        if any(name not in self.constants for name in node.input[1:]):
            raise self.unsupported(node, "computed weights")
        weight = self.constants[node.input[1]].astype(np.float32)
        n_out, _, height, width = weight.shape
        kept = {"pads": [height // 2] * 4, "strides": [1, 1], "dilations": [1, 1], "group": 1}
        given = {name: attributes.get(name, value) for name, value in kept.items() if name != "pads"}
        given["pads"] = attributes.get("pads", [0] * 4)
        if height != width or height not in (1, 3) or given != kept:
            raise self.unsupported(node, f"a kernel of {height} x {width} with {given}")
        bias = self.constants[node.input[2]] if len(node.input) > 2 else np.zeros(n_out)
        relu, skip, shuffle, writes = False, None, 1, node.output[0]
        if after := self.only_reader(writes, "Relu"):
            relu, writes = True, self.join(after)
        if after := self.only_reader(writes, "DepthToSpace"):
            shuffle, writes = self.shuffle_of(after), self.join(after)
        elif after := self.only_reader(writes, "Add"):
            other = [name for name in after.input if name != writes]
            if len(other) == 1 and other[0] in self.written:
                skip, writes = other[0], self.join(after)
        reads = (node.input[0],) if skip is None else (node.input[0], skip)
        self.put(Conv(reads, writes, weight, bias.astype(np.float32), relu, shuffle))

    def shuffle_of(self, node: onnx.NodeProto) -> int:
        attributes = {a.name: self.value_of(a) for a in node.attribute}
        if attributes.get("mode", b"DCR") != b"DCR":
            raise self.unsupported(node, "the order CRD")
        return int(attributes["blocksize"])

    def affine(self, node: onnx.NodeProto) -> None:
        constant = self.constants[node.input[1]].astype(np.float32)
        if constant.size > 1 and (constant.ndim not in (3, 4) or constant.size != constant.shape[-3]):
            raise self.unsupported(node, f"a constant of shape {constant.shape}")
        constant = constant.reshape(1, 1, -1)
        self.put(Affine((node.input[0],), node.output[0], _POINTWISE[node.op_type], constant))

    def only_reader(self, tensor: str, kind: str) -> onnx.NodeProto | None:
        """Return the node that alone reads a tensor, if it is of this kind."""
        node = self.readers.get(tensor) if self.n_uses[tensor] == 1 else None
        return node if node is not None and node.op_type == kind else None

    def join(self, node: onnx.NodeProto) -> str:
        """Let a node be part of the step before it; return what that step writes then."""
        self.joined.add(node.output[0])
        return str(node.output[0])

    def unsupported(self, node: onnx.NodeProto, what: str) -> UnsupportedError:
        return UnsupportedError(f"native: {what} of {node.op_type} ({node.output[0]!r}) is not translated.")
