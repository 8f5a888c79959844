"""A finished run becomes a network of the gallery; an unfinished one, or another's, does not."""

import functools
import itertools
import json
from dataclasses import replace

import pytest
import torch

from course_utils.__main__ import main
from course_utils.models import gallery
from course_utils.share import exhibit as module
from course_utils.training import recipe, train
from course_utils.training.checkpoints import checkpoints, read_checkpoint

TINY = {
    "block_out_channels": (8, 8),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D",) * 2,
    "up_block_types": ("UpBlock2D",) * 2,
    "norm_num_groups": 4,
}


def tiny(name, budget, **changes):
    """The overnight recipe, for seconds."""
    chosen = recipe(name, budget)
    small = {"num_steps": 4, "num_warmup_steps": 1, "batch_size": 4, "save_model_steps": 2}
    small |= {"save_image_steps": 0, "eval_batch_size": 1, "eval_inference_steps": 1}
    config = replace(chosen.config, **(small | changes))
    return replace(chosen, config=config, network=TINY, count=20)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "recipe", tiny)
    monkeypatch.setattr(module, "Judge", functools.partial(module.Judge, count=30))
    monkeypatch.setattr(module, "ASKED", 70)
    monkeypatch.setattr(module, "ASKED_ON_THE_WAY", 10)
    monkeypatch.setattr(module, "STEPS", 2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train_into(folder)
    return folder


def train_into(folder, **changes):
    chosen = tiny("sprites", "overnight", output_dir=str(folder), **changes)
    data = chosen.data()
    train(chosen.config, chosen.model(len(data.names)), chosen.noise_scheduler(), data, False)


def test_a_finished_run_hangs_in_the_gallery(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gallery, "FOLDER", tmp_path)
    monkeypatch.setattr(module.exhibit, "__defaults__", (tmp_path,))
    assert main(["exhibit", "sprites", str(run)]) == 0
    assert f"the network is in {tmp_path / 'sprites-16'}" in capsys.readouterr().out
    assert gallery.names() == ("sprites-16",)
    found = gallery.load("sprites-16")
    about, tensors = read_checkpoint(checkpoints(run / "checkpoints")[-1])
    for k, parameter in enumerate(found.model.parameters()):
        assert torch.equal(parameter, tensors[f"ema.{k}"].half().float())
    assert found.noise_scheduler.config.prediction_type == "v_prediction"
    assert found.labels == ("hero", "monster", "food", "spell", "potion")
    card = found.card
    assert card["hours"] * 3600 == pytest.approx(about["seconds"])
    assert [point["step"] for point in card["on_the_way"]] == [2, 4]
    assert card["losses"] == pytest.approx(tensors["losses"].tolist())
    assert set(card["scores"]) == {"asked", "read_as_asked", "copy_score", "distance"}
    assert card["real"]["read_as_asked"] > 0.7
    assert json.loads((tmp_path / "sprites-16" / "card.json").read_text()) == card


def test_what_is_not_finished_or_not_its_own_is_refused(run, tmp_path):
    with pytest.raises(ValueError, match=r"nothing has no checkpoints; train first"):
        module.exhibit("sprites", tmp_path / "nothing", tmp_path / "gallery")
    train_into(tmp_path / "other", seed=5)
    with pytest.raises(ValueError, match="seed"):
        module.exhibit("sprites", tmp_path / "other", tmp_path / "gallery")
    newest = checkpoints(run / "checkpoints")[-1]
    kept = newest.rename(tmp_path / newest.name)
    try:
        with pytest.raises(ValueError, match=r"has made 2 of 4 updates; finish it: .*--resume"):
            module.exhibit("sprites", run, tmp_path / "gallery")
    finally:
        kept.rename(newest)
    assert not (tmp_path / "gallery").exists()


@pytest.mark.parametrize("count", [1, 2, 7, 8, 20, 300])
def test_checkpoints_are_judged_from_the_first_to_the_last_and_not_too_many(count):
    chosen = module.spread(range(count))
    assert chosen[0] == 0
    assert chosen[-1] == count - 1
    assert len(chosen) <= module.POINTS
    gaps = [b - a for a, b in itertools.pairwise(chosen)]
    assert all(gap > 0 for gap in gaps)
    assert gaps == sorted(gaps)


def test_the_command_wants_two_words(capsys):
    assert main(["exhibit", "sprites"]) == 2
    assert "exhibit RECIPE RUN-FOLDER" in capsys.readouterr().err


def test_a_change_of_the_drawings_is_seen():
    learned = module.Judge(tiny("sprites", "overnight")).learned
    before = module.seen(learned)
    assert module.seen(learned) == before
    other = replace(learned, images=learned.images.clone())
    other.images[7, 0, 3, 3] ^= 1
    assert module.seen(other) != before
    assert module.seen(replace(learned, labels=learned.labels.flip(0))) != before
