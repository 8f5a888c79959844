"""A run that is killed, starved of disk or misled loses nothing, and goes on to the last bit."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from diffusers import DDPMScheduler
from safetensors.torch import load_file, save_file

from course_utils.training import checkpoints as kept
from course_utils.training import folder as run_folder
from course_utils.training.checkpoints import checkpoints, read_checkpoint, write_checkpoint
from tests.conftest import ROOT
from tests.trainer import assert_same, network, pictures, short_run


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """What the runs of killed_runs.py came to."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.training.killed_runs"]
    done = subprocess.run(
        [*command, tmp_path_factory.mktemp("killed")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


# What was in the folder after each child: with saves every 3 updates, and two kept.
KILLED = {
    "step 1": [],  # killed at update 1, before the first checkpoint
    "step 5": [3],
    "writing": [3],  # killed with half of checkpoint 6 written
    "moving": [3],
    "mid": [3, 6],  # killed at update 8
    "clearing": [6, 9],  # checkpoint 9 was there when 3 was half gone
}


@pytest.mark.parametrize("moment", KILLED)
def test_a_run_killed_at_any_moment_leaves_whole_checkpoints_only(killed, moment):
    assert killed[moment]["end"] == -signal.SIGKILL
    assert killed[moment]["checkpoints"] == KILLED[moment]
    assert bool(killed[moment]["leftovers"]) == (moment in ("writing", "moving", "clearing"))


def test_after_six_kills_the_weights_are_those_of_an_uninterrupted_run_to_the_last_bit(killed):
    assert killed["whole"]["end"] == killed["end"]["end"] == 0
    assert killed["end"]["digests"] == killed["whole"]["digests"]
    assert killed["end"]["losses"] == killed["whole"]["losses"]
    assert len(killed["end"]["losses"]) == 12
    assert killed["end"]["checkpoints"] == [9, 12]
    assert killed["end"]["leftovers"] == []


def test_resuming_a_finished_run_trains_nothing_and_gives_it_back(killed):
    assert killed["again"] == killed["end"]


def test_a_disk_that_fills_up_costs_no_training(killed):
    assert killed["full"]["end"] == 0
    assert killed["full"]["digests"] == killed["whole"]["digests"]
    assert killed["full"]["checkpoints"] == killed["full"]["leftovers"] == []


def into(folder, **changes):
    quick = {"save_image_steps": 0, "eval_inference_steps": 1, "eval_batch_size": 1}
    return short_run(output_dir=str(folder), **({"save_model_steps": 2} | quick | changes))


def test_a_run_can_go_on_from_any_of_its_checkpoints(tmp_path):
    whole = into(tmp_path, keep_checkpoints=5)
    folder = tmp_path / "checkpoints"
    assert [path.name[-1] for path in checkpoints(folder)] == ["2", "4", "6"]
    for path in checkpoints(folder):
        again = into(tmp_path, keep_checkpoints=5, resume=path)
        assert_same(again, whole)
    assert_same(whole, short_run())  # keeping things changed nothing


def test_the_oldest_checkpoints_make_room(tmp_path):
    into(tmp_path, save_model_steps=1, keep_checkpoints=3)
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == [
        "checkpoint-000004",
        "checkpoint-000005",
        "checkpoint-000006",
    ]


def test_the_newest_written_checkpoint_stays_though_later_ones_of_an_old_attempt_exist(tmp_path):
    for step in (10, 20, 30, 15):
        write_checkpoint(tmp_path, step, {"losses": torch.zeros(1)}, {}, keep=2)
    assert [int(path.name[-2:]) for path in checkpoints(tmp_path)] == [15, 30]


def test_settings_and_makers_are_kept_where_people_can_read_them(tmp_path):
    into(tmp_path)
    about = json.loads((checkpoints(tmp_path / "checkpoints")[-1] / "training.json").read_text())
    assert about["step"] == 6
    assert about["config"]["learning_rate"] == 1e-3
    assert about["network"]["class"].endswith("UNet2DModel")
    assert about["versions"]["torch"] == version("torch")


def test_a_folder_with_another_run_is_left_alone_unless_told_otherwise(tmp_path):
    into(tmp_path)
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(FileExistsError, match=r"checkpoint-000006.*resume=True"):
        into(tmp_path, seed=1)
    into(tmp_path, seed=1, overwrite_output_dir=True, num_steps=2)
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == ["checkpoint-000002"]
    assert (tmp_path / "mine.txt").exists()


def relabelled(data):
    return dataclasses.replace(data, labels=data.labels.flip(0))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"learning_rate": 0.01}, "learning_rate was 0.001 and is 0.01"),
        ({"model": network(act_fn="gelu")}, "another network"),
        ({"scheduler": DDPMScheduler(beta_end=0.01)}, "another noise_scheduler"),
        ({"data": pictures(51)}, r"other pictures\. \d+ pictures then, 51 now: restore them"),
        ({"data": pictures(flip=False)}, r"Mirrored at random then, as they are now"),
        ({"data": relabelled(pictures())}, "or another label than"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, change, says):
    into(tmp_path, num_steps=2)
    with pytest.raises(ValueError, match=says):
        into(tmp_path, num_steps=2, resume=True, **change)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("state.safetensors", cut_short),
        ("state.safetensors", Path.unlink),
        ("training.json", cut_short),
    ],
)
def test_a_damaged_checkpoint_is_named_with_those_that_are_left(tmp_path, name, damage):
    into(tmp_path)
    damage(checkpoints(tmp_path / "checkpoints")[-1] / name)
    with pytest.raises(ValueError, match=r"000006 cannot be read.*checkpoint-000004"):
        into(tmp_path, resume=True)


def drop(*names):
    return lambda tensors: [tensors.pop(n) for n in list(tensors) if n.startswith(names)]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (drop("model.conv_in.weight"), r"model.conv_in.weight: none, not \(8, 1, 3, 3\)"),
        (drop("ema.0"), "ema.0: none"),
        (drop("optimizer."), "optimizer: none"),
        (drop("optimizer.0.exp_avg_sq"), "optimizer.0.exp_avg_sq: none"),
        (lambda t: t.update({"ema.0": torch.zeros(1)}), r"ema.0: \(1,\), not \(8, 1, 3, 3\)"),
        (lambda t: t.update({"ema.999": torch.zeros(1)}), r"ema.999: \(1,\), not none"),
        (lambda t: t.update({"notes": torch.zeros(1)}), r"notes: \(1,\), not none"),
        (lambda t: t.update({"optimizer.1.step": torch.zeros(2)}), r"optimizer.1.step: \(2,\)"),
    ],
)
def test_a_checkpoint_with_other_numbers_in_it_is_not_gone_on_from(tmp_path, spoil, says):
    """PyTorch would begin AdamW anew without a word, and spread one number over all weights."""
    into(tmp_path)
    last = checkpoints(tmp_path / "checkpoints")[-1]
    tensors = load_file(last / "state.safetensors")
    spoil(tensors)
    save_file(tensors, last / "state.safetensors")
    with pytest.raises(ValueError, match=rf"000006 cannot be gone on from: .*{says}"):
        into(tmp_path, resume=True)


@pytest.mark.parametrize("step", [5, None, "6"])
def test_two_files_of_different_steps_are_no_checkpoint(tmp_path, step):
    into(tmp_path)
    about = checkpoints(tmp_path / "checkpoints")[-1] / "training.json"
    told = json.loads(about.read_text()) | {"step": step}
    for text in (json.dumps(told), json.dumps([told])):
        about.write_text(text)
        with pytest.raises(ValueError, match=r"do not belong together.*checkpoint-000004"):
            into(tmp_path, resume=True)


@pytest.mark.parametrize("resume", [0, 1, None, b"there"])
def test_what_is_no_answer_and_no_path_is_nothing_to_resume_from(tmp_path, resume):
    with pytest.raises(TypeError, match=rf"^resume is {resume!r}; it must be a path"):
        into(tmp_path, resume=resume)


@pytest.mark.parametrize("path", ["~nobody-at-all/x", "a\0b"])
def test_a_path_that_leads_nowhere_is_named_before_training(tmp_path, path, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "backward", lambda *_: pytest.fail("trained"))
    with pytest.raises(ValueError, match=f"^output_dir is {re.escape(repr(path))}, "):
        into(path)
    with pytest.raises(ValueError, match=f"^resume is {re.escape(repr(path))}, "):
        into(tmp_path, resume=path)
    with pytest.raises(ValueError, match=r"^resume is '', which can be no path"):
        into(tmp_path, resume="")


def test_resuming_where_nothing_was_kept(tmp_path):
    with pytest.raises(ValueError, match="output_dir is None"):
        short_run(resume=True)
    with pytest.raises(ValueError, match="there is none beside it"):
        into(tmp_path, resume=tmp_path / "nowhere")
    assert_same(into(tmp_path, resume=True), short_run())  # so that one command starts and resumes


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(lambda tmp: tmp / "file" / "run", id="below a file"),
        pytest.param(
            lambda tmp: Path("/proc/self"),  # is there, and takes no files, not even from root
            id="read-only",
            marks=pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here"),
        ),
    ],
)
def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path, place, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(torch.Tensor, "backward", lambda *_: pytest.fail("trained"))
    with pytest.raises(OSError, match=r"cannot be written.*Nothing was trained"):
        into(place(tmp_path))


def test_too_little_room_is_refused_before_training(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 100_000})
    monkeypatch.setattr(run_folder.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(torch.Tensor, "backward", lambda *_: pytest.fail("trained"))
    with pytest.raises(OSError, match=r"0 MiB left.*need 2 MiB.*Nothing was trained"):
        into(tmp_path)


def test_a_failed_write_is_told_at_once_and_made_good_later(tmp_path, monkeypatch):
    to_disk, calls = kept.to_disk, []

    def full(path):
        calls.append(path)
        if 4 <= len(calls) <= 5:  # the second checkpoint
            raise OSError(28, "No space left on device")
        to_disk(path)

    monkeypatch.setattr(kept, "to_disk", full)
    with pytest.warns(RuntimeWarning, match="No space left") as told:
        run = into(tmp_path)
    text = str(told[0].message)
    assert "Training goes on" in text
    assert str(tmp_path / "checkpoints" / "checkpoint-000002") in text
    assert [int(p.name[-1]) for p in checkpoints(tmp_path / "checkpoints")] == [2, 6]
    assert_same(run, short_run())


def test_a_run_that_explodes_names_its_last_good_checkpoint(tmp_path):
    too_much = 0.9 * min(into(tmp_path).losses)
    with pytest.raises(FloatingPointError, match="checkpoint-000004") as error:
        into(tmp_path, resume=checkpoints(tmp_path / "checkpoints")[0], max_loss=too_much)
    assert "at step 4 " in str(error.value)


def test_nothing_in_a_checkpoint_can_be_run_as_code(tmp_path):
    into(tmp_path)
    files = [p for p in (tmp_path / "checkpoints").rglob("*") if p.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".json"}
    about, tensors = read_checkpoint(checkpoints(tmp_path / "checkpoints")[-1])
    assert about["step"] == len(tensors["losses"]) == 6
