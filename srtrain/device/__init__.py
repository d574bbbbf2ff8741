"""Devices: backend and precision, the number of cores, signs of life, and Ctrl-C."""

from srtrain.registry import Registry

BACKENDS = Registry("backend", __name__)
PRECISIONS = Registry("precision", __name__)
