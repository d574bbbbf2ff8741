"""Pictures: list the files of a data set, decode them once, and cut patches for training."""

from srtrain.registry import Registry

DATASETS = Registry("data set", __name__)
DEGRADATIONS = Registry("degradation", __name__)
