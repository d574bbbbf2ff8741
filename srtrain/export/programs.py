"""Other programs that run exported files, and how they do it. Importing this module is cheap.

The facts come from the programs' public sources: ``src/main.cpp`` and ``src/realesrgan.cpp`` of Real-ESRGAN-ncnn-vulkan
and of upscayl-ncnn, ``electron/utils/get-models.ts`` of Upscayl, ``backend/src/nodes/impl/{ncnn,onnx}`` of chaiNNer.
All of them give the network RGB in [0, 1] and expect the same back.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from srtrain.errors import UserError, did_you_mean, listing


@dataclass(frozen=True)
class Program:
    """How a program takes a file.

    Attributes:
        name: as in ``--for``.
        suffixes: of the files that it reads.
        tensors: the names of input and output that it asks for.
        folder: a word that the name of the folder with the files must contain; empty if any folder will do.
        named_scale: whether it finds the scale in the name of the file.
        unknown_layers: layers of ncnn that it cannot load.
        margin_px: rows and columns around its tiles; ``None`` if it takes whole pictures or the user chooses.
        use: how to run the file; ``{folder}``, ``{file}``, ``{name}`` and ``{scale}`` are filled in.
    """

    name: str
    suffixes: tuple[str, ...]
    tensors: tuple[str, str]
    folder: str = ""
    named_scale: bool = False
    unknown_layers: tuple[str, ...] = ()
    margin_px: int | None = None
    use: str = ""

    def placed(self, target: Path) -> Path:
        """Return where the file is written: below a folder of the name that the program needs."""
        if self.folder in target.absolute().parent.name:
            return target
        return target.parent / self.folder / target.name

    def check(self, target: Path) -> None:
        """Check the suffix of a file.

        Raises:
            UserError: the program does not read such files.
        """
        if target.suffix not in self.suffixes:
            raise UserError(
                f"{str(target)!r} ends in {target.suffix!r}, but {self.name} reads {listing(self.suffixes)}: change "
                f"--to."
            )

    def check_network(self, target: Path, scale: int, channels: int) -> None:
        """Check the channels, and that the program will find the scale of the network in the name of the file.

        Raises:
            UserError: it will find another scale, or the network is not for RGB.
        """
        if channels != 3:
            raise UserError(
                f"{self.name} gives a network RGB, and this one takes grey pictures: leave out --for {self.name}, and "
                f"run the file with srtrain infer, which keeps the colours of a picture."
            )
        found = scale_in(target.stem)
        if self.named_scale and found != scale:
            told = f"reads x{found} from it" if found else "finds no scale in it"
            raise UserError(
                f"{self.name} takes the scale from the name of the file and {told} ({target.stem!r}), but the network "
                f"is x{scale}: rename it in --to, for example to 'my_model-x{scale}{target.suffix}'."
            )

    def advice(self, file: Path, scale: int) -> str:
        """Return how to run a written file with the program."""
        return self.use.format(folder=file.parent, file=file, name=file.stem, scale=scale)


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            "upscayl",
            (".param",),
            ("data", "output"),
            folder="models",
            named_scale=True,
            margin_px=10,
            use="In Upscayl: Settings, Add custom models, choose the folder {folder}, then the model {name}.",
        ),
        Program(
            "realesrgan-ncnn",
            (".param",),
            ("data", "output"),
            folder="models",
            margin_px=10,
            use="realesrgan-ncnn-vulkan -m {folder} -n {name} -s {scale} -i photo.png -o photo_x{scale}.png",
        ),
        Program(
            "chainner",
            (".onnx", ".param"),
            ("data", "output"),
            unknown_layers=("Bias", "Scale"),
            use="In chaiNNer: Load Model ({file}), then Upscale Image.",
        ),
        Program(
            "onnx-01",
            (".onnx",),
            ("input", "output"),
            use="{file} maps float32 NCHW RGB in [0, 1], 'input', to the same, 'output'.",
        ),
    )
}


def program_named(name: str) -> Program:
    """Return a program.

    Raises:
        UserError: no program has that name.
    """
    if name not in PROGRAMS:
        raise UserError(
            f"--for {name!r} is not a program that srtrain knows.{did_you_mean(name, PROGRAMS)} Known: "
            f"{listing(PROGRAMS)}."
        )
    return PROGRAMS[name]


def scale_in(name: str) -> int | None:
    """Return the scale that upscayl-ncnn finds in the name of a model: the first of these that it contains."""
    return next((n for n in (1, 2, 3, 4, 8, 16) if f"x{n}" in name or f"{n}x" in name), None)
