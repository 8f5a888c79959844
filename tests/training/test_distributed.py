"""Processes under Accelerate's launchers, really two of them, and who is told of too few."""

import re

import pytest
import torch
from accelerate import Accelerator, notebook_launcher

from course_utils.__main__ import main
from course_utils.training.checkpoints import checkpoints, read_checkpoint
from course_utils.training.distributed import CLUSTERS
from tests.trainer import assert_same, short_run, weights
from tests.training.commands import QUICK, losses, shell


def test_two_processes_give_the_loss_curve_of_one(tmp_path):
    command = ["torch.distributed.run", "--standalone", "--nproc_per_node", 2, "-m"]
    command += ["course_utils", "train", "digits", *QUICK, "--num-processes", 2]
    done = shell("-m", *command, "--output-dir", tmp_path / "two", ACCELERATE_USE_CPU="true")
    assert done.returncode == 0, done.stderr[-4000:]
    assert main(["train", "digits", *QUICK, "--output-dir", str(tmp_path / "one")]) == 0
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-4)
    assert len(losses(tmp_path / "one")) == 8
    assert done.stdout.count("a network of") == 1  # one process speaks
    assert done.stdout.count("1,797 pictures of 10 classes") == 1


def test_accelerate_launch_that_would_run_one_process_for_two_is_refused(tmp_path):
    command = ["accelerate.commands.launch", "--cpu", "--num_processes", 2, "-m"]
    command += ["course_utils", "train", "digits", *QUICK, "--output-dir", tmp_path / "run"]
    done = shell("-m", *command)
    assert done.returncode != 0
    assert "asked for 2 processes or more, and this is a run of 1" in done.stderr
    assert "torchrun --standalone --nproc_per_node 2" in done.stderr
    assert not checkpoints(tmp_path / "run" / "checkpoints")


NOTEBOOK = """
import socket, sys
from accelerate import notebook_launcher
from tests.trainer import short_run

def training():
    run = short_run(output_dir=sys.argv[1], num_processes=2, save_image_steps=0, eval_batch_size=1,
                    eval_inference_steps=1, gradient_accumulation_steps=2)

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
notebook_launcher(training, (), num_processes=2, use_port=port)
"""


def test_a_notebook_launches_two_processes_that_know_of_each_other(tmp_path):
    """Accelerate by itself starts two here that train for themselves."""
    done = shell("-c", NOTEBOOK, tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    one = short_run()
    assert losses(tmp_path) == pytest.approx(one.losses, abs=1e-4)
    about, tensors = read_checkpoint(checkpoints(tmp_path / "checkpoints")[-1])
    assert about["config"]["num_processes"] == 2
    shadow = torch.cat(
        [tensors[f"ema.{k}"].flatten() for k, _ in enumerate(one.model.parameters())]
    )
    torch.testing.assert_close(shadow, weights(one.ema_model), atol=2e-3, rtol=0)
    # A run of two goes on as a run of one.
    again = short_run(resume=True, output_dir=str(tmp_path))
    assert again.losses == losses(tmp_path)


def test_a_notebook_launches_one_process(tmp_path):
    runs = []
    notebook_launcher(lambda: runs.append(short_run()), (), num_processes=1)
    assert_same(runs[0], short_run())


def test_fewer_processes_than_asked_for_are_refused(monkeypatch):
    with pytest.raises(RuntimeError, match=r"num_processes is 2, and this is a run of 1.*torchrun"):
        short_run(num_processes=2)
    assert len(short_run(num_processes=1).losses) == 6
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")  # as accelerate launch leaves it
    with pytest.raises(RuntimeError, match="2 processes or more, and this is a run of 1"):
        short_run()


def test_processes_that_do_not_find_each_other_are_refused(monkeypatch):
    """Two were announced; Accelerate, as it does, makes a run of one of each."""
    init = Accelerator.__init__

    def lonely(self, *args, **kwargs):
        monkeypatch.delenv("WORLD_SIZE")
        init(self, *args, **kwargs | {"cpu": False})
        monkeypatch.setenv("WORLD_SIZE", "2")

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(Accelerator, "__init__", lonely)
    with pytest.raises(RuntimeError, match="asked for 2 processes"):
        short_run()


def test_a_launcher_with_another_precision_is_refused(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    with pytest.raises(ValueError, match="'bf16', and mixed_precision is 'no'"):
        short_run()
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    assert len(short_run(mixed_precision="bf16", num_steps=2).losses) == 2


def test_processes_that_found_different_checkpoints_stop(monkeypatch, tmp_path):
    monkeypatch.setattr(Accelerator, "gather", lambda self, mine: torch.cat([mine, mine + 4]))
    with pytest.raises(ValueError, match=r"different steps: \[0, 4\].*all machines share"):
        short_run(output_dir=str(tmp_path))


@pytest.mark.parametrize("name", CLUSTERS)
def test_a_cluster_that_asked_for_two_is_not_served_by_one(monkeypatch, tmp_path, name):
    monkeypatch.setenv(name, "2")
    monkeypatch.setenv(CLUSTERS[name] or "ANY", "0")
    with pytest.raises(RuntimeError, match=rf"{name} asks for 2 .* a run of 1.*torchrun"):
        short_run(output_dir=str(tmp_path / "run"))
    assert not checkpoints(tmp_path / "run" / "checkpoints")
    assert len(short_run(num_processes=1, num_steps=2).losses) == 2  # who says so means it
    monkeypatch.setenv(name, "1")  # a notebook on one node of a cluster
    assert len(short_run(num_steps=2).losses) == 2


@pytest.mark.parametrize("left_over", ["two", "0", "-1", "1.5"])
def test_a_number_of_processes_that_is_none_is_named(monkeypatch, left_over):
    monkeypatch.setenv("WORLD_SIZE", left_over)
    says = f"WORLD_SIZE is {left_over!r}, which is no number of processes. Unset it"
    with pytest.raises(RuntimeError, match=re.escape(says)):
        short_run()


def test_places_that_are_only_reserved_start_nobody(monkeypatch):
    """A notebook in an allocation of Slurm: only a step of srun has a number of its own."""
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert len(short_run(num_steps=2).losses) == 2
