"""srtrain: train, evaluate, search, export and run super-resolution networks on MindSpore."""

__version__ = "0.1.0"
