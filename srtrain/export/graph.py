"""What the writers of graphs share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from srtrain.errors import ExportError, SrtrainError, first_line

if TYPE_CHECKING:
    import onnx

INPUT, OUTPUT = "lq", "sr"
"""Names of the graph's input and output."""

PADDING = "padding_"
"""Prefix of the nodes that pad the sides of a picture and crop the output."""


@contextmanager
def written_as(kind: str) -> Iterator[None]:
    """Turn whatever MindSpore raises while it writes a network into one error.

    Raises:
        ExportError: MindSpore cannot write the network, for example because the format lacks an operator.
    """
    try:
        yield
    except SrtrainError:
        raise
    except Exception as error:
        raise ExportError(f"MindSpore cannot write this network as {kind}: {first_line(error)}") from error


def rename_tensors(nodes: Iterable[onnx.NodeProto], names: Mapping[str, str]) -> None:
    """Rename the inputs and outputs of nodes in place; tensors that ``names`` does not list keep their names."""
    for node in nodes:
        for tensors in (node.input, node.output):
            for i, name in enumerate(tensors):
                tensors[i] = names.get(name, name)
