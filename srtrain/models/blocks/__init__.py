"""The layers and blocks that networks are made of; one file each."""

from srtrain.models.blocks.conv import conv
from srtrain.models.blocks.mean_shift import DIV2K_MEAN, MeanShift
from srtrain.models.blocks.pixel_shuffle import PixelShuffle
from srtrain.models.blocks.residual import ResidualBlock
from srtrain.models.blocks.upsampler import Upsampler

__all__ = ["DIV2K_MEAN", "MeanShift", "PixelShuffle", "ResidualBlock", "Upsampler", "conv"]
