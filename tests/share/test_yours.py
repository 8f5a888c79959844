"""Training on a folder of one's own from the shell, to a model that draws."""

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from course_utils.__main__ import main
from course_utils.share.training import read_yours
from course_utils.share.yours import Yours, are_pictures
from course_utils.training.checkpoints import checkpoints, read_checkpoint
from tests.training.commands import losses

FEW = ("--num-steps", "4", "--eval-inference-steps", "1", "--eval-batch-size", "4")


@pytest.fixture(scope="module")
def garden(tmp_path_factory):
    """Two kinds of pictures of other proportions, one of them see-through."""
    folder = tmp_path_factory.mktemp("pictures") / "garden"
    rng = np.random.default_rng(0)
    for kind, shape in (("ferns", (40, 60, 3)), ("moss", (50, 30, 4))):
        (folder / kind).mkdir(parents=True)
        for k in range(6):
            pixels = rng.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{k}.png")
    return folder


def trained(folder, out, *options):
    words = ["train", str(folder), "--output-dir", str(out), "--image-size", "24x16", *options]
    return main(words)


@pytest.fixture(scope="module")
def run(garden, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "my-garden"
    assert trained(garden, out, *FEW, "--mirror", "no", "--licence", "cc0-1.0") == 0
    return out


def test_a_finished_run_is_a_model_with_card_samples_and_history(run):
    model = run / "model"
    about = json.loads((model / "card.json").read_text())
    assert about["labels"] == ["ferns", "moss"]
    assert (about["pictures"], about["updates"], about["mirrored"]) == (12, 4, False)
    card = (model / "README.md").read_text()
    assert "license: cc0-1.0" in card
    assert "12 pictures of 2 kinds: ferns, moss" in card
    assert len(json.loads((model / "training.json").read_text())["losses"]) == 4
    with Image.open(model / "samples.png") as grid:
        assert grid.width % 24 == grid.height % 16 == 0


def test_its_pictures_are_as_wide_and_high_as_asked_for_and_a_kind_can_be_chosen(run, tmp_path):
    words = ["sample", str(run), "--out", str(tmp_path / "mine"), "--seeds", "0-2", "--steps", "2"]
    assert main([*words, "--label", "moss", "--guidance", "2"]) == 0
    with Image.open(tmp_path / "mine" / "pictures" / "seed-0001.png") as picture:
        assert picture.size == (24, 16)
    assert json.loads((tmp_path / "mine" / "drawn.json").read_text())["kinds"] == ["moss"] * 3


def test_a_folder_called_like_a_set_of_the_course_is_the_folder(
    garden, tmp_path, monkeypatch, capsys
):
    shutil.copytree(garden, tmp_path / "flowers")
    monkeypatch.chdir(tmp_path)
    assert trained("./flowers", "out", *FEW, "--mirror", "no") == 0
    assert "12 pictures of 2 kinds" in capsys.readouterr().out
    assert json.loads((tmp_path / "out/model/card.json").read_text())["labels"] == ["ferns", "moss"]


def test_a_run_that_was_stopped_goes_on_with_the_plan_it_had(garden, tmp_path, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    words = ("--num-steps", "6", "--save-model-steps", "3", "--mirror", "no", *FEW[2:])
    assert trained(garden, whole, *words) == 0
    kept = whole / "checkpoints"
    last = sorted(kept.iterdir())[0]
    assert last.name == "checkpoint-000003"
    assert trained(garden, parts, *words, "--resume-from", str(last)) == 0
    assert losses(parts) == losses(whole)


@pytest.mark.parametrize(
    ("option", "value", "begun"),
    [
        ("--mirror", "yes", "begun with no"),
        ("--channels", "1", "begun with 3"),
        ("--from", "sprites-16", "begun without it"),
        ("--budget", "overnight", "begun with "),
        ("--fit", "pad", "begun with crop"),
        ("--background", "red", "begun with white"),
    ],
)
def test_a_run_goes_on_as_it_was_begun_and_other_words_are_refused(
    garden, run, capsys, option, value, begun
):
    assert trained(garden, run, "--resume", option, value) == 1
    told = capsys.readouterr().err
    assert f"{option} is {value}, and the run was {begun}" in told
    assert "leave it out, or choose another --output-dir" in told
    last = str(checkpoints(run / "checkpoints")[-1])
    assert trained(garden, run, "--resume-from", last, option, value) == 1
    assert "leave it out, or begin a new one without --resume-from" in capsys.readouterr().err


def test_what_a_run_was_begun_with_is_kept_and_added_pictures_are_counted(garden, tmp_path, capsys):
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    shutil.copytree(garden, pictures)
    own = ("--fit", "squash", "--background", "red", "--channels", "1", "--mirror", "auto")
    assert trained(pictures, out, *FEW, *own, "--save-model-steps", "2") == 0
    for _ in range(2):  # the second goes on from what the first has written
        shutil.rmtree(out / "checkpoints" / "checkpoint-000004")
        assert trained(pictures, out, "--resume") == 0
    assert trained(pictures, out, "--resume", *own) == 0  # the same words once more
    assert json.loads((out / "model" / "card.json").read_text())["updates"] == 4
    shutil.copy(pictures / "moss" / "0.png", pictures / "moss" / "more.png")
    capsys.readouterr()
    assert trained(pictures, out, "--resume") == 1
    assert "other pictures. 12 pictures then, 13 now: restore them, or" in capsys.readouterr().err


def test_a_checkpoint_that_has_not_kept_the_words_refuses_them(garden, run, tmp_path, capsys):
    old = tmp_path / "checkpoint-000004"
    shutil.copytree(checkpoints(run / "checkpoints")[-1], old)
    about = read_checkpoint(old)[0]
    del about["notes"], about["pictures"]
    (old / "training.json").write_text(json.dumps(about))
    words = ("--resume-from", str(old), *FEW)
    assert trained(garden, tmp_path / "out", *words, "--from", "sprites-16") == 1
    assert "--from is sprites-16, and the run has not kept what" in capsys.readouterr().err
    assert trained(garden, tmp_path / "out", *words, "--fit", "pad") == 1
    assert "12 pictures, some of which have other pixels" in capsys.readouterr().err
    assert trained(garden, tmp_path / "out", *words, "--fit", "crop", "--mirror", "no") == 0


def test_a_run_that_is_gone_on_with_keeps_its_licence_until_another_is_said(garden, tmp_path):
    out = tmp_path / "out"

    def licence(*words):
        assert trained(garden, out, *words) == 0
        card = (out / "model" / "README.md").read_text()
        return re.search(r"^license: (.*)$", card, re.MULTILINE)[1]

    words = (*FEW, "--save-model-steps", "2", "--mirror", "no")
    assert licence(*words) == "other"
    assert licence(*words, "--resume", "--licence", "cc0-1.0") == "cc0-1.0"
    shutil.rmtree(out)
    assert licence(*words, "--licence", "cc-by-4.0") == "cc-by-4.0"
    assert licence("--resume") == "cc-by-4.0"  # nothing is left to do
    shutil.rmtree(out / "checkpoints" / "checkpoint-000004")
    assert licence("--resume") == "cc-by-4.0"
    shutil.rmtree(out / "checkpoints" / "checkpoint-000004")
    assert licence("--resume", "--licence", "mit") == "mit"
    assert licence("--resume") == "mit"


@pytest.mark.parametrize("licence", ["", "CC BY 4.0", "MIT", "cc-by_4.0"])
@pytest.mark.parametrize("what", ["garden", "digits"])
def test_a_licence_that_is_none_is_refused_before_anything_is_trained(
    garden, tmp_path, capsys, what, licence
):
    where = str(garden) if what == "garden" else what
    words = ["train", where, "--output-dir", str(tmp_path / "out"), "--licence", licence]
    assert main(words) == 1
    assert f"licence is {licence!r}, which the Hub calls no licence" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_name_that_begins_with_a_dash_is_written_otherwise(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("-lead").mkdir()
    assert main(["train", "-lead"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "python -m course_utils train ./-lead" in told
    assert read_yours(["./-lead"])[2]["output_dir"] == "lead-run"


@pytest.mark.parametrize(("where", "name"), [("UP.NPY", "UP"), ("a/b.npz", "b"), ("a.b", "a.b")])
def test_pictures_are_called_after_their_place(where, name):
    assert Yours(where=where).name == name


def test_a_run_begins_with_a_network_of_the_gallery(garden, tmp_path, capsys):
    out = tmp_path / "tuned"
    words = ["train", str(garden), "--output-dir", str(out), *FEW, "--from", "sprites-16"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "pictures are taken in colour and at 16x16 pixels, as sprites-16 draws its own" in told
    about = json.loads((out / "model" / "unet" / "config.json").read_text())
    assert about["sample_size"] == 16  # that of the network it began with
    assert about["num_class_embeds"] == 3


def test_an_array_is_trained_on_and_minutes_are_understood(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = "my specks-run"
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    np.savez("my specks.npz", images=pixels, labels=np.arange(20) % 2)
    words = ["train", "my specks.npz", "--minutes", "0.05", "--eval-inference-steps", "1"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "in 0.05 minutes" in told
    how_to_draw = told.splitlines()[-1].removesuffix(" draws with it")
    assert how_to_draw == shlex.join(
        ["python", "-m", "course_utils", "sample", run, "--out", "FOLDER"]
    )
    assert Path(run, "model", "card.json").is_file()
    card = Path(run, "model", "README.md").read_text()
    kept = json.loads(Path(run, "model", "training.json").read_text())
    assert f"| `num_steps` | {len(kept['losses'])} |" in card  # as many as there was time for


def test_minutes_and_a_number_of_updates_are_not_both_kept(garden, tmp_path, capsys):
    assert trained(garden, tmp_path / "out", *FEW, "--minutes", "1") == 1
    assert "give one of the two" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_may_stand_for_pictures(tmp_path):
    assert are_pictures(str(tmp_path))
    assert are_pictures("somebody/some-pictures")
    assert not are_pictures("no-such-folder")
    assert not are_pictures("--help")


def test_a_run_among_the_pictures_is_refused(garden, capsys):
    assert trained(garden, garden / "run", *FEW) == 1
    assert "Choose another output_dir" in capsys.readouterr().err
    assert sorted(path.name for path in garden.iterdir()) == ["ferns", "moss"]


def test_a_folder_that_is_not_there_is_told_with_what_can_be_trained(capsys):
    assert main(["train", "no-such-folder", "--minutes", "1"]) == 2
    told = capsys.readouterr().err
    assert "no-such-folder" in told
    assert "FOLDER" in told
