"""Weights: read them from our checkpoints or from files of other frameworks, and load them into a network."""

SUFFIXES = (".pt", ".pth", ".npz", ".safetensors")
"""Suffixes of the weights files of other frameworks that can be read and written."""
