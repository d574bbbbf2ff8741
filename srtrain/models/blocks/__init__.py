"""The layers and blocks that networks are made of, one file each."""

from srtrain.models.blocks.channel_shuffle import ChannelShuffle
from srtrain.models.blocks.context import ContextBlock
from srtrain.models.blocks.conv import conv
from srtrain.models.blocks.dense import DenseBlock
from srtrain.models.blocks.even_sides import CropLike, PadToEven
from srtrain.models.blocks.group import GroupBlock
from srtrain.models.blocks.least_sides import PadToLeast
from srtrain.models.blocks.mean_shift import DIV2K_MEAN, MeanShift
from srtrain.models.blocks.picture_network import PictureNetwork
from srtrain.models.blocks.pixel_shuffle import PixelShuffle
from srtrain.models.blocks.residual import ResidualBlock
from srtrain.models.blocks.resize_like import ResizeLike
from srtrain.models.blocks.shrink import ShrinkBlock
from srtrain.models.blocks.upsampler import Upsampler, last_convolution, upsampler_to_picture

__all__ = [
    "DIV2K_MEAN",
    "ChannelShuffle",
    "ContextBlock",
    "CropLike",
    "DenseBlock",
    "GroupBlock",
    "MeanShift",
    "PadToEven",
    "PadToLeast",
    "PictureNetwork",
    "PixelShuffle",
    "ResidualBlock",
    "ResizeLike",
    "ShrinkBlock",
    "Upsampler",
    "conv",
    "last_convolution",
    "upsampler_to_picture",
]
