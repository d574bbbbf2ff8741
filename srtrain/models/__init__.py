"""Networks and their blocks: how they are built, initialised, counted and run."""

from srtrain.registry import Registry

MODELS = Registry("model", __name__)
BLOCKS = Registry("block", __name__)
INITIALISERS = Registry("initialiser", __name__)
