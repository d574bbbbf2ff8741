"""A program for the engine ``native``: the project's own kernels for CPUs (docs/kernels.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srtrain.engines.exported import METADATA_KEY
from srtrain.engines.native import PROGRAM, border_name, parameter_name
from srtrain.errors import DeviceError, ExportError, UserError
from srtrain.export.format import Format
from srtrain.export.formats import FORMATS
from srtrain.export.options import Options
from srtrain.kernels.compile import CannotBuildError
from srtrain.kernels.library import F43, load_library

if TYPE_CHECKING:
    from mindspore import nn


@FORMATS.register("native")
class Native(Format):
    """A safetensors file with the program, its parameters, and the metadata. It fits this kind of processor."""

    engine = "native"
    limit = 0.01  # F(4,3) rounds more than a direct sum: up to 0.003 with the weights of a trained EDSR

    def prepare(self, options: Options) -> None:
        """Refuse fixed sizes.

        Raises:
            UserError: a size or a batch is fixed.
            DeviceError: the library cannot be built here.
        """
        if options.input_px or options.batch:
            raise UserError(
                "native files accept every size, one picture at a time: remove --input-px and --batch."
            )
        try:
            load_library()
        except CannotBuildError as error:
            raise DeviceError(f"a native file cannot be written here: {error}.") from error

    def fold(self, model: nn.Cell, plain: bool) -> nn.Cell:
        """Collapse the linear end; a program folds the rest itself."""
        from srtrain.models.collapsed import collapse_end

        if not plain:
            collapse_end(model, may_offset=False)
        return model

    def write(self, model: nn.Cell, file: Path, about: dict[str, Any], options: Options) -> None:
        """Write the file.

        Raises:
            ExportError: the library cannot run the network.
        """
        from safetensors.numpy import save_file

        from srtrain.kernels.forms import program_of
        from srtrain.kernels.program import CannotTraceError

        try:
            program = program_of(model, F43, has_gradient=False)
        except CannotTraceError as error:
            raise ExportError(f"the kernels of this project cannot run the network: {error}.") from error
        tensors: dict[str, Any] = {parameter_name(k): value for k, value in enumerate(program.values())}
        for place, kernel in program.border.items():
            tensors[border_name(place, "weight")], tensors[border_name(place, "bias")] = (
                kernel.weight,
                kernel.bias,
            )
        tensors[PROGRAM] = program.for_inference().encode()
        save_file(tensors, file, {METADATA_KEY: json.dumps({**about, "lanes": program.library.lanes})})
