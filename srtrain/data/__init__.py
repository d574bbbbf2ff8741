"""Pictures: which files make a set, decoding them once, and cutting patches for training."""

from srtrain.registry import Registry

DATASETS = Registry("data set", __name__)
DEGRADATIONS = Registry("degradation", __name__)
