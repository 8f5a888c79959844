"""The trainer from the shell: what it leaves, what it understands, what it says when it fails."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from diffusers import DDPMPipeline
from PIL import Image

from course_utils.__main__ import main
from course_utils.files import digest
from course_utils.share.training import read
from course_utils.training import TrainingConfig, recipe
from course_utils.training.checkpoints import checkpoints, read_checkpoint
from course_utils.training.folder import RunFolder
from tests.conftest import ROOT
from tests.training.commands import ENV, QUICK, losses


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run of one process, in this one."""
    folder = tmp_path_factory.mktemp("alone")
    command = ["train", "digits", *QUICK, "--tracker", "tensorboard"]
    assert main([*command, "--output-dir", str(folder)]) == 0
    return folder


def test_a_run_leaves_a_pipeline_checkpoints_grids_and_logs(alone):
    names = {"model", "checkpoints", "samples", "logs", "run.json"}
    assert {path.name for path in alone.iterdir()} - {".run.lock"} == names
    RunFolder(alone).refuse_strangers()  # all of it is listed
    pipeline = DDPMPipeline.from_pretrained(alone / "model")
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    _, tensors = read_checkpoint(checkpoints(alone / "checkpoints")[-1])
    averaged = [tensors[f"ema.{k}"] for k, _ in enumerate(pipeline.unet.parameters())]
    for parameter, wanted in zip(pipeline.unet.parameters(), averaged, strict=True):
        assert torch.equal(parameter, wanted)


def test_a_command_that_is_killed_is_resumed_by_the_same_command(tmp_path):
    """Killed from outside, at a moment that nobody has chosen, long before its end."""
    command = ["train", "digits", *QUICK, "--num-steps", "40", "--batch-size", "8", "--resume"]
    command += ["--save-model-steps", "10"]
    killed, whole = [*command, "--output-dir", str(tmp_path / "killed")], tmp_path / "whole"
    process = subprocess.Popen(
        [sys.executable, "-m", "course_utils", *killed],
        cwd=ROOT,
        env=ENV,
        stderr=subprocess.DEVNULL,
    )
    first = tmp_path / "killed" / "checkpoints" / "checkpoint-000010"
    while not first.exists() and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert len(losses(tmp_path / "killed")) < 40
    assert main(killed) == main([*command, "--output-dir", str(whole)]) == 0
    ends = [read_checkpoint(checkpoints(f / "checkpoints")[-1])[1] for f in tmp_path.iterdir()]
    assert len(ends[0]["losses"]) == 40
    assert digest(ends[0]) == digest(ends[1])


def test_help_has_every_setting_with_its_reason_and_the_recipes_own_default(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "digits", "--budget", "full", "--help"])
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for field in dataclasses.fields(TrainingConfig):
        assert re.search(rf"--{field.name.replace('_', '-')}[ ,]", shown), field.name
    assert "Updates from one checkpoint to the next, which is what a crash can cost" in shown
    assert "--image-size SIDE|WIDTHxHEIGHT" in shown
    assert re.search(r"--num-steps INT Optimiser updates .{0,90}\(default: 2800\)", shown)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["digits", "--budget", "huge"], "invalid choice: 'huge'"),
        (["digits", "--learning-rat", "1"], "Unrecognized options: --learning-rat"),
        (["digits", "--push-to-hub"], "Unrecognized options: --push-to-hub"),
        (["digits", "--batch-size", "many"], "Error parsing --batch-size"),
        (["digits", "--batch-size", "0"], "batch_size is 0; it must be a whole number at least 1"),
        (["digits", "--loss", "rmse"], "Expected one of ('mse', 'l1', 'huber')"),
        (["digits", "--min-snr-gamma", "-1"], "min_snr_gamma is -1.0"),
        (["digits", "--num-steps", "4", "--num-warmup-steps", "5"], "num_warmup_steps is 5"),
        (["digits", "--image-size", "abc"], "The size is 'abc'; give the side of a square"),
        (["digits", "--image-size=32X"], "The size is '32X'; give the side of a square"),
        (["digits", "--image-size", "48", "32"], "The size is '48 32'; give the side of a square"),
        (["digits", "--image-size", "0x9"], "The size is '0x9'; give the side of a square"),
    ],
)
def test_unknown_options_and_values_are_refused(capsys, tmp_path, options, says):
    with pytest.raises(SystemExit) as ended:
        main(["train", *options, "--output-dir", str(tmp_path / "run")])
    assert ended.value.code == 2
    assert says in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", [["faces"], ["--budget", "smoke", "digits"], []])
def test_without_a_recipe_they_are_listed(capsys, words):
    assert main(["train", *words]) == 2
    told = capsys.readouterr().err
    assert "The recipes are digits, sprites, sprites-a, sprites-b, butterflies, flowers." in told
    assert not words or f"no recipe {words[0]!r}" in told


def complaint(capsys, *words):
    """What is told of a command that fails: one paragraph."""
    capsys.readouterr()
    assert main(["train", "digits", *QUICK, *map(str, words)]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    return told


def test_what_goes_wrong_is_told_in_a_paragraph(capsys, alone):
    here = ("--output-dir", alone)
    assert "FileExistsError: output_dir" in complaint(capsys, *here)
    assert "source is 'draw', which for digits is" in complaint(capsys, *here, "--source", "draw")
    assert "--output-dir is missing" in complaint(capsys)


def test_debug_shows_where_it_went_wrong(alone):
    with pytest.raises(FileExistsError):
        main(["train", "digits", *QUICK, "--output-dir", str(alone), "--debug"])


def test_a_run_folder_given_for_a_checkpoint_names_its_checkpoints(capsys, alone, tmp_path):
    for given in (alone, alone / "checkpoints"):
        told = complaint(capsys, "--resume-from", given, "--output-dir", tmp_path)
        assert f"Resume from another one: {alone / 'checkpoints' / 'checkpoint-000004'}" in told


def test_resuming_where_there_is_nothing_says_that_it_begins(capsys, tmp_path):
    command = ["train", "digits", *QUICK, "--num-steps", "2", "--resume"]
    assert main([*command, "--output-dir", str(tmp_path / "typo")]) == 0
    assert "starts at update 0" in capsys.readouterr().out


def test_options_reach_the_run(tmp_path):
    options = ["--num-steps", "2", "--num-warmup-steps", "1", "--min-snr-gamma", "5"]
    options += ["--num-processes", "None", "--seed", "3", "--output-dir", str(tmp_path)]
    assert main(["train", "butterflies", *QUICK, *options]) == 0
    about, _ = read_checkpoint(checkpoints(tmp_path / "checkpoints")[-1])
    wanted = {"num_steps": 2, "min_snr_gamma": 5.0, "num_processes": None, "seed": 3}
    assert about["config"].items() >= wanted.items()
    kept = dataclasses.asdict(recipe("butterflies", "smoke").config)
    assert about["config"]["learning_rate"] == kept["learning_rate"] == 2e-3


def test_a_warm_up_ends_with_the_run_and_a_folder_called_like_the_set_is_told_of(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("digits").mkdir()
    assert main(["train", "digits", *QUICK, "--num-steps", "1", "--output-dir", "out"]) == 0
    told = capsys.readouterr().out
    assert "digits is a set of the course's; the folder of that name is ./digits." in told
    about, _ = read_checkpoint(Path("out/checkpoints/checkpoint-000001"))
    assert about["config"]["num_warmup_steps"] == 1
    assert read(["digits", *QUICK, "--num-steps", "9"])[0].config.num_warmup_steps == 2


@pytest.mark.parametrize("words", [["--image-size", "48x32"], ["--image_size=48X32"]])
def test_a_size_is_width_and_height_in_the_shell(words):
    assert read(["flowers", *words])[0].config.image_size == (32, 48)


def test_a_tilde_is_spelled_out_in_every_path(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    words = ["digits", "--output-dir=~/run", "--source", "~/pictures", "--resume-from=~/old"]
    chosen, options = read(words)
    assert Path(chosen.config.output_dir) == tmp_path / "run"
    assert (Path(options.source), Path(options.resume_from)) == (
        tmp_path / "pictures",
        tmp_path / "old",
    )


@pytest.mark.parametrize("option", ["--output-dir", "--source", "--resume-from"])
def test_a_tilde_that_leads_nowhere_is_told_in_a_paragraph(capsys, tmp_path, option):
    words = ["--output-dir", tmp_path / "run", option, "~nobody-at-all/x"]
    told = complaint(capsys, *words)
    assert f"ValueError: {option} is '~nobody-at-all/x', but '~nobody-at-all' leads to no" in told
    assert not (tmp_path / "run").exists()


def test_a_home_that_is_not_there_is_not_made(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "gone"))
    assert "leads to no home folder here" in complaint(capsys, "--output-dir=~/run")
    assert not (tmp_path / "gone").exists()


def test_a_run_is_told_where_there_are_few_letters(tmp_path):
    """Into a file on Windows, or on a terminal of C's locale."""
    command = ["train", "digits", *QUICK, "--num-steps", "2", "--output-dir", tmp_path / "\u65e5"]
    done = subprocess.run(
        [sys.executable, "-m", "course_utils", *command],
        cwd=ROOT,
        env=ENV | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert r"\u65e5" in done.stdout.splitlines()[-1]


def test_a_rank_left_over_in_the_environment_costs_no_model(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    command = ["train", "digits", *QUICK, "--num-steps", "2"]
    assert main([*command, "--output-dir", str(tmp_path)]) == 0
    assert (tmp_path / "model" / "model_index.json").exists()


def snapshot(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_pictures_where_a_run_would_write_are_refused_and_stay(capsys, tmp_path, monkeypatch):
    """Your own pictures in samples/, and the output folder the one around it."""
    for name in ("rose", "tulip"):
        (tmp_path / "samples" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), (name == "rose" and "red") or "blue").save(
            tmp_path / "samples" / name / "1.png"
        )
    before = snapshot(tmp_path)
    monkeypatch.chdir(tmp_path)
    for source, output, says in (
        ("samples", ".", "where a run in output_dir . writes its samples"),
        ("samples", "samples/run", "would learn from the sample grids"),
        ("samples", "samples", "would learn from the sample grids"),
        (".", "run", "would learn from the sample grids"),
        ("bundled", ".", "samples/rose/1.png and 1 more"),
    ):
        assert says in complaint(capsys, "--source", source, "--output-dir", output)
    assert snapshot(tmp_path).items() >= before.items()


def test_a_run_is_not_written_over_by_one_resumed_from_elsewhere(capsys, alone, tmp_path):
    """Run A, run B with other settings, then A's checkpoint resumed in B's folder."""
    command = ["train", "digits", *QUICK, "--seed", "1", "--output-dir", str(tmp_path)]
    assert main(command) == 0
    before, first = snapshot(tmp_path), checkpoints(alone / "checkpoints")[0]
    told = complaint(capsys, "--resume-from", first, "--output-dir", tmp_path)
    assert "holds checkpoint-000008 of an earlier run" in told
    assert snapshot(tmp_path) == before
    for path in (tmp_path / "checkpoints").rglob("*"):
        if path.is_file():
            path.unlink()
    for folder in list((tmp_path / "checkpoints").iterdir()):
        folder.rmdir()
    told = complaint(capsys, "--resume", "--output-dir", tmp_path)
    assert "holds the model of an earlier run" in told
    assert (tmp_path / "model" / "model_index.json").exists()


def test_a_tracker_without_a_login_is_told_in_a_line(capsys, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("No API key configured.\nUse `wandb login` to log in.")

    monkeypatch.setattr(Accelerator, "init_trackers", refuse)
    told = complaint(capsys, "--tracker", "tensorboard", "--output-dir", tmp_path)
    assert "TrackerError: tracker is 'tensorboard', which cannot be opened: No API key" in told
    assert "Nothing was trained" in told


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGTERM from outside")
def test_the_command_is_stopped_by_a_signal_and_goes_on(tmp_path):
    command = ["train", "digits", *QUICK, "--num-steps", "400", "--batch-size", "8", "--resume"]
    command += ["--save-model-steps", "1000", "--tracker", "tensorboard"]
    folder = tmp_path / "stopped"
    process = subprocess.Popen(
        [sys.executable, "-m", "course_utils", *command, "--output-dir", folder],
        cwd=ROOT,
        env=ENV,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (folder / "logs").exists() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    told = process.communicate()[1]
    assert process.returncode == 128 + signal.SIGTERM, told
    done = len(losses(folder))
    assert f"Stopped after {done} of 400 updates" in told
    assert "Go on with resume=True (--resume)." in told
    assert "Traceback" not in told
    RunFolder(folder).refuse_strangers()
