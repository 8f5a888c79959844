"""The U-Net in the place of diffusers' own network: called, saved, trained and sampled alike."""

import inspect
import logging
import subprocess
import sys

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMPipeline,
    DDPMPipeline,
    EDMEulerScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    UNet2DModel,
)

from course_utils.data import ImageTensors
from course_utils.models import (
    UNet,
)
from course_utils.sampling import (
    DDIMScheduler,
    DDPMScheduler,
    FlowMatchEulerScheduler,
    sample,
)
from course_utils.training import TrainingConfig, check_fit, train
from tests.models.small import SMALL, network, pictures


@pytest.mark.parametrize("t", [7.0, torch.tensor(7.0), torch.tensor([7.0, 7.0]).double()])
def test_takes_timesteps_that_are_no_integers(t):
    model, x = network(), pictures(2, 3, 16, 16)
    torch.testing.assert_close(model(x, t).sample, model(x, 7).sample, rtol=0, atol=1e-6)


def test_a_level_between_two_is_neither_of_them():
    model, x = network(), pictures(1, 3, 16, 16)
    below, between, above = (model(x, t).sample for t in (7, 7.5, 8))
    for other in (below, above):
        assert (between - other).abs().max() > 1e-5


def test_is_called_as_the_network_of_diffusers_is():
    """The names and the order of the arguments, and the tuple that pipelines may ask for."""
    ours, theirs = (inspect.signature(c.forward).parameters for c in (UNet, UNet2DModel))
    assert list(ours) == list(theirs)
    model, x = network(), pictures(2, 3, 16, 16)
    out = model(sample=x, timestep=5, class_labels=None, return_dict=False)
    assert isinstance(out, tuple)
    assert len(out) == 1
    assert torch.equal(out[0], model(x, 5).sample)


def test_checkpointing_saves_maps_and_changes_nothing():
    found = {}
    for checkpointing in (False, True):
        model, kept = network(num_class_embeds=3), []
        if checkpointing:
            model.enable_gradient_checkpointing()
        assert model.is_gradient_checkpointing is checkpointing
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, kept=kept: kept.append(t.numel()) or t, lambda t: t
        ):
            out = model(pictures(2, 3, 16, 16), 5, class_labels=torch.tensor([0, 2])).sample
        out.square().mean().backward()
        found[checkpointing] = out, [p.grad for p in model.parameters()], sum(kept)
    (plain, gradients, kept), (again, gradients_again, kept_again) = found.values()
    assert torch.equal(plain, again)
    torch.testing.assert_close(gradients_again, gradients)
    assert kept_again < 0.5 * kept


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_calculates_in_other_types(dtype):
    model, x, t = network(num_class_embeds=3), pictures(2, 3, 16, 16), torch.tensor([3, 900])
    labels = torch.tensor([0, 2])
    exact = model(x, t, class_labels=labels).sample
    out = model.to(dtype)(x.to(dtype), t, class_labels=labels).sample
    assert out.dtype == dtype
    torch.testing.assert_close(out.float(), exact, rtol=0, atol=0.05 * exact.abs().max().item())


@pytest.mark.parametrize("storage", [torch.float16, torch.float8_e4m3fn])
def test_weights_may_be_stored_in_less_than_they_are_used_in(storage):
    model, x = network(num_class_embeds=3), pictures(1, 3, 16, 16)
    exact = model(x, 7, class_labels=1).sample
    model.enable_layerwise_casting(storage, torch.float32)
    assert model.conv_in.weight.dtype == storage
    assert model.mid_block.block1.norm1.weight.dtype == torch.float32
    out = model(x, 7, class_labels=1).sample
    torch.testing.assert_close(out, exact, rtol=0, atol=0.2 * exact.abs().max().item())


def test_config_speaks_the_language_of_diffusers():
    ours = network(in_channels=1, hidden_dims=(16, 24, 32)).config
    theirs = UNet2DModel(
        sample_size=16,
        in_channels=1,
        out_channels=1,
        block_out_channels=(16, 24),
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        norm_num_groups=8,
    ).config
    for name in ("in_channels", "out_channels", "sample_size", "num_class_embeds"):
        assert ours[name] == getattr(ours, name) == theirs[name], name
    assert tuple(ours.block_out_channels) == tuple(theirs.block_out_channels)
    tensors = ImageTensors(torch.zeros(1, 1, 18, 18, dtype=torch.uint8), torch.tensor([0]), ("a",))
    check_fit(network(in_channels=1, hidden_dims=(16, 24, 32)), tensors)  # halved once
    with pytest.raises(ValueError, match="multiples of 4"):
        check_fit(network(in_channels=1), tensors)


def test_arguments_given_by_place_count_as_given(caplog):
    """diffusers takes them for defaults, and would build the network of 133 million instead."""
    first = UNet(1, (8, 16), 16)
    caplog.set_level("WARNING", logger="diffusers")
    logging.getLogger("diffusers").addHandler(caplog.handler)
    again = UNet.from_config(first.config)
    logging.getLogger("diffusers").removeHandler(caplog.handler)
    assert caplog.messages == []
    assert (again.config.in_channels, again.config.hidden_dims) == (1, (8, 16))
    assert again.config.image_size == again.config.sample_size == 16
    assert UNet.from_config(first.config, num_class_embeds=4).config.num_class_embeds == 4


def test_saves_and_loads_bit_by_bit(tmp_path):
    model, x = network().eval(), pictures(2, 3, 16, 16)
    model.save_pretrained(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"config.json", "diffusion_pytorch_model.safetensors"}
    again = UNet.from_pretrained(tmp_path)
    ours, theirs = model.state_dict(), again.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    torch.testing.assert_close(again(x, 5).sample, model(x, 5).sample, rtol=0, atol=1e-6)
    assert tuple(again.config.hidden_dims) == SMALL
    assert again.config.sample_size == 16


PIPELINE = """
import sys, diffusers, numpy, torch
import course_utils.models.unet, course_utils.sampling  # diffusers imports no module by itself
folder, kind, scheduler = sys.argv[1:]
pipeline = getattr(diffusers, kind).from_pretrained(folder)
assert type(pipeline.unet) is course_utils.models.UNet, type(pipeline.unet)
found = type(pipeline.scheduler)
assert f"{found.__module__}.{found.__name__}" == scheduler, found
pipeline.set_progress_bar_config(disable=True)
seed = torch.Generator().manual_seed(3)
made = pipeline(2, seed, num_inference_steps=4, output_type="np").images
numpy.save(folder + "/made.npy", made)
"""


@pytest.mark.parametrize(
    ("kind", "again", "scheduler"),
    [
        (DDPMPipeline, "DDPMPipeline", DDPMScheduler),
        (DDPMPipeline, "DiffusionPipeline", DDIMScheduler),
        (DDPMPipeline, "DiffusionPipeline", FlowMatchEulerScheduler),
        (DDIMPipeline, "DDIMPipeline", DDIMScheduler),  # which makes a DDIM of its own
    ],
)
def test_fits_a_pipeline_and_comes_back_in_another_process(tmp_path, kind, again, scheduler):
    pipeline = kind(network(), scheduler(20))
    pipeline.set_progress_bar_config(disable=True)
    seed = torch.Generator().manual_seed(3)
    before = pipeline(2, seed, num_inference_steps=4, output_type="np").images
    assert before.shape == (2, 16, 16, 3)
    pipeline.save_pretrained(tmp_path)
    used = type(pipeline.scheduler)
    name = f"{used.__module__}.{used.__name__}"
    run = subprocess.run(
        [sys.executable, "-c", PIPELINE, tmp_path, again, name], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert abs(np.load(tmp_path / "made.npy") - before).max() < 1e-5


@pytest.mark.parametrize("classes", [None, 2])
@pytest.mark.parametrize("kind", [DDIMScheduler, FlowMatchEulerScheduler])
def test_trains_and_samples_with_the_package(kind, classes):
    rows = torch.arange(16)
    colours = (rows[:, None] * 16 + torch.tensor([0, 5, 10])).view(16, 3, 1, 1) % 256
    images = colours.expand(-1, -1, 8, 8).to(torch.uint8)
    data = ImageTensors(images, rows % 2, ("even", "odd"))
    model, scheduler = network(image_size=8, num_class_embeds=classes), kind(1000)
    config = TrainingConfig(num_steps=60, batch_size=16, num_warmup_steps=5, ema_decay=0.9)
    run = train(config, model, scheduler, data, progress=False)
    assert sum(run.losses[-10:]) < 0.7 * sum(run.losses[:10])
    labels = None if classes is None else [0, 1]
    quick = {"num_inference_steps": 3, "progress": False, "class_labels": labels}
    made = sample(run.ema_model, scheduler, seeds=[1, 2], **quick)
    assert made.images.shape == (2, 3, 8, 8)


@pytest.mark.filterwarnings("default:__array__ implementation:DeprecationWarning")  # in diffusers
@pytest.mark.parametrize("kind", [EulerDiscreteScheduler, HeunDiscreteScheduler, EDMEulerScheduler])
def test_takes_the_timesteps_of_the_schedulers_of_diffusers(kind):
    """Theirs are no whole numbers: EDM's are even negative."""
    scheduler, model, x = kind(), network(), pictures(1, 3, 16, 16)
    scheduler.set_timesteps(3)
    x = x * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        shown = scheduler.scale_model_input(x, t)
        x = scheduler.step(model(shown, t).sample, t, x).prev_sample
    assert x.isfinite().all()
