"""Every network of the gallery draws in the browser what it draws in Python, by every solver."""

import numpy as np
import pytest
import torch

from course_utils.models import gallery
from course_utils.sampling import guided_answer, initial_noise
from course_utils.share.web import PARTS, drawable, write_parts
from tests.conftest import extension, serving
from tests.share.page import (
    COUNT,
    PAGE,
    apart,
    by_python,
    draw,
    in_colour,
    in_turn,
    opened,
    scheduler_of,
)

MOST_APART = 2  # of 255
networks = pytest.mark.parametrize("name", gallery.names())


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with all of them, of the files that the book's page has."""
    folder = tmp_path_factory.mktemp("gallery")
    write_parts(folder / PARTS, extension("course_playground").networks())
    (folder / "index.html").write_text(PAGE)
    with serving(folder) as address:
        yield address


@networks
@pytest.mark.parametrize("solver", ["DDIM", "DPM-Solver++ 2M", "DDPM"])
def test_the_browser_draws_what_python_draws(browser, page, name, solver):
    artist = gallery.load(name)
    how = {"seed": 7, "steps": 4, "solver": solver}
    tab, _, trouble = opened(browser, page, network=name, **how)
    found = draw(tab)
    wanted = by_python(artist.model, artist.noise_scheduler, labels=in_turn(artist), **how)
    assert apart(found, wanted) <= MOST_APART
    assert trouble == []
    tab.context.close()


@networks
def test_with_guidance_too(browser, page, name):
    artist = gallery.load(name)
    how = {"seed": 70, "steps": 4, "guidance": 2.0}
    tab, _, _ = opened(browser, page, network=name, **how)
    found = draw(tab)
    labels, none = in_turn(artist), artist.no_label
    wanted = by_python(artist.model, artist.noise_scheduler, labels=labels, none=none, **how)
    assert apart(found, wanted) <= MOST_APART
    tab.context.close()


# ---- what begins with something else than one seed's noise


@torch.inference_mode()
def walked(artist, x, labels, scheduler, first=0, put_back=lambda x, number: x):
    """The steps of a path from one of them on, each followed by what an edit does."""
    labels = torch.tensor(labels)
    for number, t in list(enumerate(scheduler.timesteps))[first:]:
        answer = guided_answer(artist.model, x, t, labels)
        x = put_back(scheduler.step(answer, t, x).prev_sample, number)
    return x.clamp(-1, 1)


def path(artist, steps):
    scheduler = scheduler_of(artist.noise_scheduler, "DDIM")
    scheduler.set_timesteps(steps)
    alpha_bar = scheduler.alphas_cumprod.double()[scheduler.timesteps]
    return scheduler, [*zip(alpha_bar.sqrt(), (1 - alpha_bar).sqrt(), strict=True), (1.0, 0.0)]


def on_the_sphere(a, b, share):
    angle = np.arccos((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))
    return (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)


def test_the_way_between_two_seeds(browser, page):
    artist = gallery.load("sprites-16")
    told = {"network": "sprites-16", "kind": "potion", "steps": 5, "from": "between"}
    tab, _, _ = opened(browser, page, **told, seed=3, other=2**32 - 1)
    found = draw(tab)
    ends = initial_noise((3, 16, 16), [3, 2**32 - 1])[0].double().numpy()
    noise = np.stack([on_the_sphere(*ends, k / 15) for k in range(COUNT)])
    scheduler, _ = path(artist, 5)
    labels = [artist.labels.index("potion")] * COUNT
    wanted = walked(artist, torch.from_numpy(noise).float(), labels, scheduler)
    assert apart(found, in_colour(wanted)) <= MOST_APART
    tab.context.close()


def test_a_scribble_from_the_address(browser, page):
    """The upper half blue, the lower half the paper's colour, of which 7 of 10 steps are left."""
    artist = gallery.load("sprites-16")
    told = {"network": "sprites-16", "kind": "food", "from": "scribble", "scribble": "h128a128"}
    tab, _, _ = opened(browser, page, **told, seed=5, steps=10, strength=0.7)
    found = draw(tab)
    paper = drawable(gallery.FOLDER / "sprites-16", known=b"").paper
    colours = torch.tensor([(60, 110, 210), paper], dtype=torch.float64)  # two halves
    halves = (colours / 127.5 - 1).float().T.repeat_interleave(128, 1).view(1, 3, 16, 16)
    scheduler, rates = path(artist, 10)
    noise, _ = initial_noise((3, 16, 16), range(5, 5 + COUNT))
    x = (rates[3][0] * halves + rates[3][1] * noise).float()
    wanted = walked(artist, x, [artist.labels.index("food")] * COUNT, scheduler, first=3)
    assert apart(found, in_colour(wanted)) <= MOST_APART
    tab.context.close()


def test_a_gap_from_the_address_is_filled_and_the_rest_is_kept(browser, page):
    artist = gallery.load("sprites-16")
    told = {"network": "sprites-16", "kind": "monster", "from": "gap", "mask": "b100a156"}
    tab, _, _ = opened(browser, page, **told, seed=11, steps=5)
    found = draw(tab)
    label = artist.labels.index("monster")
    scheduler, _ = path(artist, 5)
    base = walked(artist, initial_noise((3, 16, 16), [11])[0], [label], scheduler)
    scheduler, rates = path(artist, 5)
    noise, generators = initial_noise((3, 16, 16), range(12, 12 + COUNT))
    paint = (torch.arange(256) < 100).view(16, 16)

    def put_back(x, number):
        fresh = torch.stack([torch.randn(3, 16, 16, generator=g) for g in generators])
        signal_rate, noise_rate = rates[number + 1]
        return torch.where(paint, x, (signal_rate * base + noise_rate * fresh).float())

    wanted = walked(artist, noise, [label] * COUNT, scheduler, put_back=put_back)
    assert apart(found, in_colour(wanted)) <= MOST_APART
    assert (found == found[:1])[..., 7:, :].all()  # what was kept is the same in all
    assert not (found == found[:1])[..., :6, :].all()
    tab.context.close()


def test_a_part_is_wiped_by_keyboard_and_told(browser, page):
    tab, _, _ = opened(browser, page, network="sprites-16", **{"from": "gap"}, steps=1)
    canvas = tab.get_by_role("application", name="The picture, to wipe out a part of it")
    canvas.focus()
    for key in ("ArrowUp", "ArrowLeft", "Space"):
        tab.keyboard.press(key)
    told = tab.locator(".easel-part [role=status]")
    assert told.inner_text() == "column 8, row 8: wiped"
    assert "mask=a" in tab.url
    tab.get_by_role("button", name="Clear").click()
    assert "mask" not in tab.url
    tab.context.close()
