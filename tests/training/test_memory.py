"""A memory that is full, by a network that says so from some number of pictures on."""

import pytest
import torch

from course_utils.__main__ import main
from course_utils.training import MemoryFullError, loop
from course_utils.training.memory import is_full, lighter, settings_that_fit
from tests.trainer import network, settings, short_run, weights

ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: not enough memory: you"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
    MemoryError(),
]


@pytest.fixture
def small_memory(monkeypatch):
    """A loss that has no room for more than so many pictures at once."""
    known = loop.diffusion_loss

    def have(most, error=ERRORS[0]):
        def loss(model, scheduler, x0, *rest):
            if len(x0) > most:
                raise error
            return known(model, scheduler, x0, *rest)

        monkeypatch.setattr(loop, "diffusion_loss", loss)

    return have


@pytest.mark.parametrize("error", ERRORS)
def test_a_full_memory_is_told_in_a_line_with_the_setting_that_helps(small_memory, error):
    small_memory(4, error)
    with pytest.raises(MemoryFullError) as told:
        short_run()
    text = str(told.value)
    assert "full at update 0: 8 pictures in 1 parts" in text
    assert "gradient_accumulation_steps=2 (--gradient-accumulation-steps 2)" in text
    assert "\n" not in text
    short_run(gradient_accumulation_steps=2)  # and it does help


def test_other_errors_stay_what_they_are(small_memory):
    small_memory(4, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        short_run()
    assert not is_full(ValueError("out of memory"))


def test_the_shell_tells_it_too(small_memory, capsys, tmp_path):
    small_memory(0)
    words = ["train", "digits", "--budget", "smoke", "--output-dir", str(tmp_path)]
    assert main([*words, "--gradient-accumulation-steps", "64", "--gradient-checkpointing"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "MemoryFullError" in told
    assert "--image-size" in told


def test_what_needs_less_is_tried_step_by_step():
    seen, config = [], settings(batch_size=12)
    while config is not None:
        seen.append((config.gradient_accumulation_steps, config.gradient_checkpointing))
        config = lighter(config)
    assert seen == [(1, False), (2, False), (4, False), (12, False), (12, True)]
    assert lighter(settings(batch_size=12), processes=2).gradient_accumulation_steps == 2
    assert lighter(settings(gradient_accumulation_steps=4), 2).gradient_checkpointing


def test_a_batch_that_fits_is_found_by_trying():
    def update(config):
        if config.batch_size / config.gradient_accumulation_steps > 3:
            raise ERRORS[1]

    assert settings_that_fit(settings(), update).gradient_accumulation_steps == 4
    with pytest.raises(MemoryFullError, match="smaller image_size"):
        settings_that_fit(settings(), lambda _: exec("raise MemoryError"))


def test_layers_that_forget_give_the_same_update():
    plain, forgetful = (short_run(num_steps=3, gradient_checkpointing=g) for g in (False, True))
    assert forgetful.losses == pytest.approx(plain.losses, rel=1e-6)
    torch.testing.assert_close(weights(forgetful.model), weights(plain.model), atol=1e-5, rtol=1e-3)


def test_layers_forget_only_while_they_are_asked_to():
    model = network()
    short_run(model=model, num_steps=2, gradient_checkpointing=True)
    assert model.is_gradient_checkpointing
    short_run(model=model, num_steps=2)
    assert not model.is_gradient_checkpointing


def test_a_network_that_cannot_forget_is_refused():
    model = network()
    model._supports_gradient_checkpointing = False
    with pytest.raises(ValueError, match="gradient_checkpointing is True, which a UNet2DModel"):
        short_run(model=model, gradient_checkpointing=True)
