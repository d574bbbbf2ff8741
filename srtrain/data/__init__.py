"""Pictures: which files make a set, decoding them once, and cutting patches for training.

Importing this package registers the data sets in `srtrain.registry.DATASETS`.
"""

from srtrain.data import embedded, folders
from srtrain.data.folders import Pair
from srtrain.data.loader import Batch, Loader
from srtrain.data.sampler import Sampler, shard
from srtrain.data.store import Pictures

__all__ = ["Batch", "Loader", "Pair", "Pictures", "Sampler", "embedded", "folders", "shard"]
