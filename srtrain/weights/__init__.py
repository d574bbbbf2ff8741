"""Weights: read them from our checkpoints or from files of other frameworks, and load them into a network."""

from pathlib import Path

SUFFIXES = (".pt", ".pth", ".npz", ".safetensors")
"""Suffixes of the weights files of other frameworks that can be read and written."""


def is_weights_file(path: Path) -> bool:
    """Return whether ``path`` is a file of named tensors, such as one of PyTorch, by its suffix."""
    return path.suffix in SUFFIXES and not path.is_dir()
