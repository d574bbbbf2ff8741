"""Devices: the backend of a process, its precision, cores and sign of life, and Ctrl-C."""

from srtrain.registry import Registry

BACKENDS = Registry("backend", __name__)
PRECISIONS = Registry("precision", __name__)
