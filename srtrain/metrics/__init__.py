"""PSNR and SSIM, and the protocols that define how they are measured."""

from srtrain.registry import Registry

METRICS = Registry("metric", __name__)
PROTOCOLS = Registry("protocol", __name__)
