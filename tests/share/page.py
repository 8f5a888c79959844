"""A page with a playground, served and opened, and what Python draws of the same choices."""

from urllib.parse import urlencode

import numpy as np
import torch

from course_utils.data.pixels import to_uint8
from course_utils.sampling import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    quick_scheduler,
    sample,
)

COUNT = 16
PAGE = """<!DOCTYPE html><html lang="en"><head><title>All</title><link rel="icon" href="data:,">
<script type="module" src="playground/playground.js"></script></head>
<body><div class="course-playground"></div></body></html>"""
READ = """root => [...root.querySelectorAll('.hand canvas')].map(canvas =>
    [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data])"""
OVER = """() => ['done', 'failed', 'stopped'].includes(
    document.querySelector('.course-playground').dataset.state)"""


def opened(browser, address, width=1280, scheme="light", motion="no-preference", **choices):
    """A fresh page, and the list of what it asks for and complains of."""
    screen = {"viewport": {"width": width, "height": 900}}
    context = browser.new_context(**screen, color_scheme=scheme, reduced_motion=motion)
    tab = context.new_page()
    asked, trouble = [], []
    tab.on("response", lambda r: asked.append(r.url))
    tab.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda error: trouble.append(str(error)))
    tab.goto(f"{address}/index.html#{urlencode(choices)}")
    tab.wait_for_load_state("networkidle")
    return tab, asked, trouble


def draw(tab):
    """Press Draw and wait until it is over; the pictures as bytes, shape (16, C, H, W)."""
    tab.get_by_role("button", name="Draw", exact=True).click()
    tab.wait_for_function(OVER, timeout=240_000)
    assert state(tab) == "done", tab.locator(".status").first.inner_text()
    return pictures(tab)


def state(tab):
    return tab.locator(".course-playground").get_attribute("data-state")


def pictures(tab):
    found = np.array(tab.locator(".course-playground").evaluate(READ), dtype=np.uint8)
    height, width = tab.locator(".hand canvas").first.evaluate("c => [c.height, c.width]")
    return found.reshape(COUNT, height, width, 4)[..., :3].transpose(0, 3, 1, 2)


def in_turn(artist):
    """A kind for each picture, one after the other, as the page gives them."""
    return [k % len(artist.labels) for k in range(COUNT)]


def scheduler_of(trained, solver, guidance=1.0):
    """The solver that a page has under this name, with the levels of a scheduler."""
    config = trained.config
    if config.prediction_type == "flow_prediction":
        return quick_scheduler(trained)
    told = {
        "num_train_timesteps": config.num_train_timesteps,
        "trained_betas": trained.betas.tolist(),
        "prediction_type": config.prediction_type,
        "timestep_spacing": "trailing",
    }
    clip = {"clip_sample": config.clip_sample and guidance == 1}
    if solver == "DDPM":
        return DDPMScheduler(**told, **clip, variance_type=config.variance_type)
    if solver == "DDIM":
        return DDIMScheduler(**told, clip_sample=False)
    return DPMSolverMultistepScheduler(**told)


def by_python(model, trained, *, labels, seed=0, steps=20, solver="DDIM", guidance=1.0, none=None):
    """What Python draws: bytes, shape (16, 3, H, W)."""
    images = sample(
        model,
        scheduler_of(trained, solver, guidance),
        seeds=range(seed, seed + COUNT),
        class_labels=labels,
        num_inference_steps=steps,
        guidance_scale=guidance,
        no_label=none,
        progress=False,
    ).images
    return in_colour(images)


def in_colour(images):
    return to_uint8(images.expand(-1, 3, -1, -1)).numpy()


def apart(found, wanted):
    """The largest difference of a pixel, of 255."""
    return int(np.abs(found.astype(int) - wanted.astype(int)).max())


def noise_of_page(tab, size, seeds, draws=2):
    """What sampling.js makes of seeds: the noise to start with, and what follows."""
    said = tab.evaluate(
        """async ([size, seeds, draws]) => {
            const { initial_noise } = await import(new URL('playground/sampling.js', location));
            const { noise, generators } = initial_noise(size, seeds);
            const row = g => Array.from({ length: draws }, () => [...g.randn(size)]);
            const more = generators.map(row);
            return [[...noise], more];
        }""",
        [size, list(seeds), draws],
    )
    return torch.tensor(said[0]), torch.tensor(said[1])
