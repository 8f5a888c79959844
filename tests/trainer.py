"""A small network, a few pictures and a short run, for all tests that want one."""

import torch
from diffusers import DDPMScheduler, UNet2DModel

from course_utils.data import ImageTensors
from course_utils.training import TrainingConfig, train


def network(**changes):
    """Two levels, 8x8 grey, ten classes; always with the same first weights."""
    torch.manual_seed(0)
    settings = {
        "sample_size": 8,
        "in_channels": 1,
        "out_channels": 1,
        "layers_per_block": 1,
        "block_out_channels": (8, 16),
        "down_block_types": ("DownBlock2D",) * 2,
        "up_block_types": ("UpBlock2D",) * 2,
        "norm_num_groups": 8,
        "num_class_embeds": 10,
    }
    return UNet2DModel(**(settings | changes))


def pictures(count=50, flip=True):
    """Random bytes with labels 0 to 8, so that the network's last class is free."""
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (count, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return ImageTensors(images, torch.arange(count) % 9, tuple("abcdefghi"), flip)


def settings(**changes):
    return TrainingConfig(**({"num_steps": 6, "num_warmup_steps": 2, "batch_size": 8} | changes))


def short_run(resume=False, data=None, model=None, scheduler=None, **changes):
    data = pictures() if data is None else data
    model = network() if model is None else model
    scheduler = DDPMScheduler() if scheduler is None else scheduler
    return train(settings(**changes), model, scheduler, data, progress=False, resume=resume)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def assert_same(first, second):
    assert first.losses == second.losses
    assert torch.equal(weights(first.model), weights(second.model))
    assert torch.equal(weights(first.ema_model), weights(second.ema_model))
