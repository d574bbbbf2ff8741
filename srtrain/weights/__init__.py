"""Weights: read them from our checkpoints or from files of other frameworks, and load them into a network."""

from pathlib import Path

SUFFIXES = (".pt", ".pth", ".npz", ".safetensors")
"""Suffixes of the weights files of other frameworks that can be read and written."""


def is_weights_file(path: Path) -> bool:
    """Return whether ``path`` is a file of named tensors, such as one of PyTorch, by its suffix.

    A ``.ckpt`` file may be of MindSpore or, as Lightning writes it, of PyTorch. Its first bytes decide.
    """
    if path.suffix == ".ckpt" and path.is_file():
        return _begins_as_of_torch(path)
    return path.suffix in SUFFIXES and not path.is_dir()


def _begins_as_of_torch(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4).startswith((b"PK\x03\x04", b"\x80"))
    except OSError:
        return False
