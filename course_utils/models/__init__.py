"""The network: what is trained, and one that needs no training.

`unet` is a denoising U-Net from scratch, `layers` and `embedding` its parts (chapter
05_flowers). `ideal` is the best possible denoiser for a small set of pictures (chapter
02_schedulers), `gallery` has networks that were trained for hours. `base` says what a network
must offer.
"""

from course_utils.models import gallery
from course_utils.models.base import Denoiser
from course_utils.models.embedding import TimeEmbedding, sinusoidal_embedding
from course_utils.models.ideal import IdealDenoiser
from course_utils.models.layers import Attention, DownLevel, Middle, ResidualBlock, UpLevel
from course_utils.models.unet import UNet

__all__ = [
    "Attention",
    "Denoiser",
    "DownLevel",
    "IdealDenoiser",
    "Middle",
    "ResidualBlock",
    "TimeEmbedding",
    "UNet",
    "UpLevel",
    "gallery",
    "sinusoidal_embedding",
]
