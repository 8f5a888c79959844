"""The gallery's networks are there, small, fresh, and as good as their cards say."""

import json
import math

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DModel
from PIL import Image

from course_utils.data import load_images, prepare
from course_utils.files import digest
from course_utils.metrics import extractor
from course_utils.models import gallery
from course_utils.sampling import quick_scheduler, sample
from course_utils.share.exhibit import Judge, seen
from course_utils.training import recipe

MEGABYTE = 1e6
networks = pytest.mark.parametrize("name", gallery.names())


def test_there_are_networks_and_all_of_them_are_small():
    assert {"sprites-16"} <= set(gallery.names())
    sizes = [
        sum(path.stat().st_size for path in (gallery.FOLDER / name).iterdir())
        for name in gallery.names()
    ]
    assert max(sizes) <= 5 * MEGABYTE
    assert sum(sizes) <= 25 * MEGABYTE


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"no network 'faces-16'; choose from .*sprites-16"):
        gallery.load("faces-16")


@networks
def test_what_is_loaded_is_a_network_of_diffusers_with_a_label_for_none(name):
    found = gallery.load(name)
    assert isinstance(found.model, UNet2DModel)
    assert isinstance(found.noise_scheduler, DDPMScheduler)
    assert {p.dtype for p in found.model.parameters()} == {torch.float32}
    assert not found.model.training
    assert found.model.config.num_class_embeds == len(found.labels) + 1 == found.no_label + 1
    assert found.image_size == found.model.config.sample_size == int(name.split("-")[-1])
    again = gallery.load(name)  # nobody shares weights with anybody
    assert found.model.conv_in.weight.data_ptr() != again.model.conv_in.weight.data_ptr()


@networks
def test_the_card_says_how_it_was_made(name):
    found = gallery.load(name)
    card = found.card
    chosen = recipe(card["recipe"], "overnight")
    assert card["config"]["num_steps"] == chosen.config.num_steps
    assert card["parameters"] == sum(p.numel() for p in found.model.parameters())
    assert card["hours"] > 0
    assert card["machine"]
    assert found.told == (
        f"{chosen.config.num_steps:,} updates on {chosen.count:,} pictures, "
        f"{card['hours']:.1f} hours on {card['machine']}"
    )
    assert card["on_the_way"][-1]["step"] == chosen.config.num_steps
    hours = [row["hours"] for row in card["on_the_way"]]
    assert hours == sorted(hours)
    assert hours[-1] == card["hours"]
    with Image.open(gallery.FOLDER / name / "samples.png") as sheet:
        assert sheet.size == (8 * card["config"]["image_size"],) * 2  # 64, none picked


@networks
def test_the_drawings_are_still_those_it_has_learned(name):
    """Where they are not, the network is stale."""
    card = gallery.load(name).card
    chosen = recipe(card["recipe"], "overnight")
    pictures = load_images(chosen.pictures, "drawn", count=100, first=card["pictures"]["first"])
    now = seen(prepare(pictures, card["config"]["image_size"], chosen.channels))
    assert now == card["pictures"]["sha256"], (
        f"drawn otherwise now: renew it with {card['command']}"
    )


@networks
def test_it_draws_as_well_as_its_card_says(name):
    """Wrong weights, a wrong schedule, another order of the labels: each would be seen here."""
    found = gallery.load(name)
    count, kinds = 40, len(found.labels)
    wanted = [k % kinds for k in range(count)]
    images = sample(
        found.model,
        quick_scheduler(found.noise_scheduler),
        seeds=range(count),
        class_labels=wanted,
        num_inference_steps=20,
        progress=False,
    ).images
    judge = Judge(recipe(found.card["recipe"], "overnight"), count=500)
    scores = judge.score(images, wanted)
    told = found.card["scores"]
    # Three deviations of a share of 40, and as much again for fewer steps and a quicker reader.
    for share in ("read_as_asked", "copy_score"):
        bound = 6 * math.sqrt(max(told[share] * (1 - told[share]), 0.02) / count)
        assert abs(scores[share] - told[share]) < bound, share
    # Fewer steps, and fewer pictures to be near to, cost a sixth; weights off by 0.02 double it.
    assert scores["distance"] < 1.5 * told["distance"]


@pytest.mark.parametrize("name", ["flowers-32", "sprites-16"])
def test_what_the_solvers_gave_was_measured_with_these_weights_and_this_extractor(name):
    """``python -m benchmarks.samplers`` measures it anew."""
    found = gallery.load(name)
    kept = found.solvers
    assert kept["weights"] == digest(found.model.state_dict())
    assert kept["extractor"] == extractor(name).name
    calls = {True: ["3", "5", "7", "9", "19", "49"], False: ["4", "5", "6", "8", "10", "20", "50"]}
    for scale in "12":
        assert len(kept[scale]) == 8
        for solver, row in kept[scale].items():
            assert list(row) == calls["Heun" in solver]
            assert all(len(far) == len(kept["real"]) and min(far) > 0 for far in row.values())
    assert gallery.load("digits-28").solvers == {}


@pytest.mark.parametrize("name", gallery.sheets())
def test_a_sheet_has_what_a_chapters_network_drew_and_how_it_was_made(name):
    found, hours = gallery.sheet(name), gallery.load(name)
    images = found.pictures.images
    assert images.shape == (300, hours.model.config.in_channels, *[hours.image_size] * 2)
    assert images.dtype == torch.uint8
    assert found.pictures.names in (hours.labels, ("butterfly",))
    assert found.card["updates"] < hours.card["config"]["num_steps"]
    assert str(found.card["chapter"]) in found.told
    kinds = len(found.pictures.names)
    assert found.pictures.labels.tolist() == [k % kinds for k in range(300)]
    flat = images.flatten(1).float()
    assert torch.cdist(flat, flat).fill_diagonal_(9.0).min() > 0  # no picture is there twice


def test_an_unknown_sheet_is_refused():
    with pytest.raises(ValueError, match=r"no sheet 'faces-16'; choose from .*sprites-16"):
        gallery.sheet("faces-16")


def test_the_cards_are_plain_json():
    for name in gallery.names():
        text = (gallery.FOLDER / name / gallery.CARD).read_text(encoding="utf-8")
        assert json.loads(text)["labels"]
