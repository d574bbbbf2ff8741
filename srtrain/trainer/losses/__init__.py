"""Losses between an output and its ground truth, both float32 NCHW RGB in [0, 255]; one file each."""

from srtrain.registry import Registry

LOSSES = Registry("loss", __name__)
