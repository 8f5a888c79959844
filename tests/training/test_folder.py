"""A run's folder: what is not listed is never touched, and two runs never share it."""

import os
import subprocess
import sys
import warnings

import pytest
import torch
from accelerate import Accelerator

from course_utils.training import report
from course_utils.training.checkpoints import checkpoints, write_checkpoint
from course_utils.training.folder import FolderInUseError, RunFolder
from tests.conftest import ROOT
from tests.trainer import assert_same, short_run
from tests.training.commands import ENV

QUICK = {"save_image_steps": 2, "save_model_steps": 2, "eval_inference_steps": 1}
QUICK |= {"eval_batch_size": 1}


def into(folder, **changes):
    return short_run(output_dir=str(folder), **QUICK | changes)


def snapshot(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    "name",
    [
        "samples/rose/1.png",
        "samples/step-000002.png",
        "checkpoints/checkpoint-000001/state.safetensors",
        "checkpoints/notes.txt",
        "logs/mine/today.log",
        "model/unet/config.json",
        "model",
    ],
)
@pytest.mark.parametrize("how", [{"overwrite_output_dir": True}, {"resume": True}, {}])
def test_a_file_that_no_run_made_is_named_and_stays(tmp_path, name, how):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=rf"no run made them: {name}\..*Nothing was changed"):
        into(tmp_path, **how)
    assert snapshot(tmp_path) == {path: b"mine"}


def test_your_file_in_a_folder_of_a_run_is_named_too(tmp_path):
    into(tmp_path)
    mine = tmp_path / "checkpoints" / "checkpoint-000004" / "notes.txt"
    mine.write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(FileExistsError, match=r"checkpoint-000004/notes.txt\. Move"):
        into(tmp_path, overwrite_output_dir=True, seed=1)
    assert snapshot(tmp_path) == before


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "step-000002.png").write_text("mine")
    (tmp_path / "run" / "samples").mkdir(parents=True)
    try:
        (tmp_path / "run" / "samples" / "album").symlink_to(tmp_path / "album", True)
    except OSError:
        pytest.skip("no links here")
    with pytest.raises(FileExistsError, match="samples/album"):
        into(tmp_path / "run")
    assert (tmp_path / "album" / "step-000002.png").read_text() == "mine"


def test_your_files_elsewhere_in_the_folder_and_empty_folders_are_no_hindrance(tmp_path):
    (tmp_path / "samples" / "empty").mkdir(parents=True)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "1.png").write_text("mine")
    into(tmp_path)
    into(tmp_path, overwrite_output_dir=True, seed=1)
    assert (tmp_path / "pictures" / "1.png").read_text() == "mine"
    assert (tmp_path / "samples" / "empty").is_dir()


def test_a_checkpoint_with_a_file_of_yours_is_not_cleared_away(tmp_path):
    for step in (1, 2, 3):
        write_checkpoint(tmp_path, step, {"losses": torch.zeros(1)}, {}, keep=3)
    (tmp_path / "checkpoint-000001" / "notes.txt").write_text("mine")
    write_checkpoint(tmp_path, 4, {"losses": torch.zeros(1)}, {}, keep=1)
    assert [path.name[-1] for path in checkpoints(tmp_path)] == ["1", "4"]
    assert (tmp_path / "checkpoint-000001" / "notes.txt").read_text() == "mine"


def test_all_that_a_run_makes_is_listed_and_cleared_for_another(tmp_path):
    into(tmp_path, tracker="tensorboard")
    folder = RunFolder(tmp_path)
    folder.refuse_strangers()
    folder.clear("checkpoints", "samples", "logs")
    assert {path.name for path in tmp_path.iterdir()} - {".run.lock"} == {"run.json"}


def test_clearing_leaves_what_is_not_listed(tmp_path):
    """A file that came while the run was going."""
    folder = RunFolder(tmp_path)
    folder.write(tmp_path / "samples" / "step-000002.png", b"ours")
    (tmp_path / "samples" / "rose.png").write_bytes(b"mine")
    assert folder.has("samples")
    folder.clear("samples", "model")
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["rose.png"]
    assert not folder.has("samples")


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"made": 5}', '{"made": [5]}', '{"made": "checkpoints"}']
)
def test_a_damaged_list_stops_everything(tmp_path, text):
    into(tmp_path)
    (tmp_path / "run.json").write_text(text)
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match=r"run.json cannot be read.*Choose another output_dir"):
        into(tmp_path, overwrite_output_dir=True)
    assert snapshot(tmp_path) == before


def test_a_folder_in_place_of_the_list_stops_everything(tmp_path):
    (tmp_path / "run.json").mkdir()
    with pytest.raises(ValueError, match=r"run.json cannot be read .*Choose another output_dir"):
        into(tmp_path)


def test_a_run_whose_list_is_lost_says_so(tmp_path):
    into(tmp_path)
    (tmp_path / "run.json").unlink()
    before = snapshot(tmp_path)
    with pytest.raises(FileExistsError, match=r"and 6 more\. \(There is no run\.json, which lists"):
        into(tmp_path, resume=True)
    assert snapshot(tmp_path) == before


def test_ctrl_c_in_the_first_checkpoint_leaves_a_folder_that_can_be_used(tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("safetensors.torch.save_file", stopped)
        with pytest.raises(KeyboardInterrupt):
            into(tmp_path)
    assert checkpoints(tmp_path / "checkpoints") == []
    assert_same(into(tmp_path), short_run())


def test_a_disk_too_full_for_the_list_costs_no_training(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("course_utils.training.folder.write_whole", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        assert_same(into(tmp_path), short_run())
    assert [path.name for path in tmp_path.iterdir() if path.name != ".run.lock"] == []


def test_a_model_that_cannot_be_written_leaves_the_old_one(tmp_path):
    folder = RunFolder(tmp_path)
    with folder.replacing("model") as part:
        (part / "weights").write_text("old")

    def fail():
        with folder.replacing("model") as part:
            (part / "weights").write_text("ne")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert (tmp_path / "model" / "weights").read_text() == "old"
    assert not (tmp_path / ".model.part").exists()
    with folder.replacing("model") as part:
        (part / "weights").write_text("new")
    assert (tmp_path / "model" / "weights").read_text() == "new"


def test_the_second_of_two_runs_in_one_folder_is_refused(tmp_path, monkeypatch):
    def second(*_):
        with pytest.raises(FolderInUseError, match=r"is in use: another run.*Nothing was changed"):
            into(tmp_path, overwrite_output_dir=True, seed=1)
        monkeypatch.undo()

    monkeypatch.setattr(report.Output, "after_update", second)
    run = into(tmp_path)
    assert_same(run, short_run())
    into(tmp_path, resume=True)  # and afterwards it is free


HOLD = """
import sys, time
from course_utils.training.folder import RunFolder
with RunFolder(sys.argv[1]).locked():
    print("locked", flush=True)
    time.sleep(600)
"""


def test_the_lock_of_a_killed_run_is_gone(tmp_path):
    command = [sys.executable, "-c", HOLD, tmp_path]
    other = subprocess.Popen(command, cwd=ROOT, env=ENV, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(FolderInUseError):
            into(tmp_path)
    finally:
        other.kill()
        other.communicate()
    into(tmp_path)


def fails(*_, **__):
    raise RuntimeError("this network cannot be sampled")


def test_a_network_that_cannot_be_sampled_costs_one_warning_and_no_training(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "draw_samples", fails)
    with pytest.warns(RuntimeWarning, match="sample grid failed") as told:
        run = into(tmp_path, save_image_steps=1)
    assert [str(w.message).count("cannot be sampled") for w in told] == [1]
    assert_same(run, short_run())
    assert len(checkpoints(tmp_path / "checkpoints")) == 2


@pytest.mark.parametrize("method", ["log", "init_trackers"])
def test_a_tracker_that_fails_on_the_way_is_given_up_one_that_never_starts_is_told(
    tmp_path, monkeypatch, method
):
    monkeypatch.setattr(Accelerator, method, fails)
    if method == "init_trackers":
        with pytest.raises(RuntimeError, match="cannot be opened: this network"):
            into(tmp_path, tracker="tensorboard")
        return
    with pytest.warns(RuntimeWarning, match="The log failed") as told:
        run = into(tmp_path, tracker="tensorboard")
    assert len(told) == 1
    assert_same(run, short_run())


def test_a_tracker_that_cannot_be_closed_costs_no_training(tmp_path, monkeypatch):
    from accelerate.tracking import TensorBoardTracker

    monkeypatch.setattr(TensorBoardTracker, "finish", fails)
    with pytest.warns(RuntimeWarning, match="The log failed"):
        assert_same(into(tmp_path, tracker="tensorboard"), short_run())


def test_a_disk_too_full_for_a_grid_costs_one_warning(tmp_path, monkeypatch):
    def full(self, path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "write", full)
    with pytest.warns(RuntimeWarning, match="No space left") as told:
        into(tmp_path)
    assert len(told) == 1
    assert len(checkpoints(tmp_path / "checkpoints")) == 2


def test_the_checkpoint_is_written_before_the_grid(tmp_path, monkeypatch):
    """So that even a drawing that kills the process costs no update."""
    order = []
    monkeypatch.setattr(report, "draw_samples", lambda *_: order.append("grid") or fails())
    write = report.write_checkpoint
    monkeypatch.setattr(
        report, "write_checkpoint", lambda *a: order.append("checkpoint") or write(*a)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        into(tmp_path)
    assert order == ["checkpoint", "grid"] * 3


@pytest.mark.skipif(os.name != "posix", reason="Windows refuses such a folder by itself")
def test_nothing_is_left_of_the_probe(tmp_path):
    (tmp_path / ".probe").write_text("mine")
    into(tmp_path)
    assert (tmp_path / ".probe").read_text() == "mine"
