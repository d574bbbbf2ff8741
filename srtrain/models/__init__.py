"""Networks and their blocks, and how they are initialised, counted and run."""

from srtrain.registry import Registry

MODELS = Registry("model", __name__)
BLOCKS = Registry("block", __name__)
INITIALISERS = Registry("initialiser", __name__)
