"""Engines: what runs a network for inference, one file each, and the tiles and memory limits they share."""

from srtrain.registry import Registry

ENGINES = Registry("engine", __name__)
