"""Engines, which run a network for inference: one file each, and the tiling and memory limits around them."""

from srtrain.registry import Registry

ENGINES = Registry("engine", __name__)
