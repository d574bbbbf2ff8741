"""Copies of a network that share its Parameters."""

from __future__ import annotations

import copy

from mindspore import nn


def twin(model: nn.Cell) -> nn.Cell:
    """Return a copy of a network that holds the very Parameters of the original.

    Mixed precision and the kernels change cells of the network that is trained. The original stays as it is, for
    evaluation, checkpoints and export.
    """
    copied = copy.deepcopy(model)
    for (_, cell), (_, its_twin) in zip(model.cells_and_names(), copied.cells_and_names(), strict=True):
        for name, parameter in list(cell.parameters_and_names(expand=False)):
            its_twin.insert_param_to_cell(name.rpartition(".")[2], parameter)
    return copied
