"""What the writers of ONNX and of ncnn share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

INPUT, OUTPUT = "lq", "sr"
"""Names of the graph's input and output."""

PADDING = "padding_"
"""Prefix of the nodes that pad the sides of a picture and crop the output."""


def rename_tensors(nodes: Iterable[onnx.NodeProto], names: Mapping[str, str]) -> None:
    """Rename the inputs and outputs of nodes in place; tensors that ``names`` does not list keep their names."""
    for node in nodes:
        for tensors in (node.input, node.output):
            for i, name in enumerate(tensors):
                tensors[i] = names.get(name, name)
