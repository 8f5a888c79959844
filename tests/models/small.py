"""A small network and random pictures, for the tests of the network."""

import torch

from course_utils.models import UNet

SMALL = (8, 16, 24, 32)


def network(**changes):
    torch.manual_seed(0)
    return UNet(**({"hidden_dims": SMALL, "image_size": 16} | changes))


def pictures(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
