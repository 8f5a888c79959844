"""The trainer from the shell and under Accelerate's launchers, in one process and really in two."""

import dataclasses
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
import torch
from accelerate import Accelerator, notebook_launcher
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser
from diffusers import DDPMPipeline

from course_utils import training
from course_utils.__main__ import main
from course_utils.budget import BUDGETS
from course_utils.files import digest
from course_utils.training import RECIPES, TrainingConfig, recipe, recipes
from course_utils.training.checkpoints import checkpoints, read_checkpoint
from tests.conftest import ROOT
from tests.trainer import assert_same, network, short_run, weights

QUICK = ("--budget", "smoke", "--save-image-steps", "0", "--eval-inference-steps", "1")
ENV = {k: v for k, v in os.environ.items() if not k.startswith("ACCELERATE")}
ENV |= {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}


def shell(*command, **env):
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env=ENV | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def losses(folder):
    return read_checkpoint(checkpoints(folder / "checkpoints")[-1])[1]["losses"].tolist()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run of one process, in this one."""
    folder = tmp_path_factory.mktemp("alone")
    assert (
        main(["train", "digits", *QUICK, "--output-dir", str(folder), "--tracker", "tensorboard"])
        == 0
    )
    return folder


def test_a_run_leaves_a_pipeline_checkpoints_grids_and_logs(alone):
    names = {"model", "checkpoints", "samples", "logs"}
    assert {path.name for path in alone.iterdir()} == names
    pipeline = DDPMPipeline.from_pretrained(alone / "model")
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    _, tensors = read_checkpoint(checkpoints(alone / "checkpoints")[-1])
    averaged = [tensors[f"ema.{k}"] for k, _ in enumerate(pipeline.unet.parameters())]
    for parameter, wanted in zip(pipeline.unet.parameters(), averaged, strict=True):
        assert torch.equal(parameter, wanted)


def test_two_processes_give_the_loss_curve_of_one(alone, tmp_path):
    command = ["torch.distributed.run", "--standalone", "--nproc_per_node", 2, "-m"]
    command += ["course_utils", "train", "digits", *QUICK, "--num-processes", 2]
    done = shell("-m", *command, "--output-dir", tmp_path / "two", ACCELERATE_USE_CPU="true")
    assert done.returncode == 0, done.stderr[-4000:]
    assert losses(tmp_path / "two") == pytest.approx(losses(alone), abs=1e-4)
    assert len(losses(alone)) == 8
    assert done.stdout.count("a network of") == 1  # one process speaks


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


@pytest.mark.parametrize(
    "names",
    [
        {"SLURM_NTASKS": "2", "SLURM_PROCID": "0"},
        {"OMPI_COMM_WORLD_SIZE": "2"},
        {"PMI_SIZE": "2"},
        {"MV2_COMM_WORLD_SIZE": "2"},
    ],
)
def test_a_cluster_that_starts_two_lone_trainings_is_told(monkeypatch, tmp_path, names):
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        RuntimeError, match=r"asked for 2 processes or more, and this is a run of 1"
    ):
        short_run(output_dir=str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "names", [{"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, {"SLURM_NTASKS": "4"}]
)
def test_a_notebook_on_a_node_of_a_cluster_trains(monkeypatch, names):
    """Reserved places alone start nobody: only a step of srun has a number of its own."""
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert len(short_run(num_steps=2).losses) == 2


def test_a_left_over_rank_does_not_keep_a_lone_run_from_saving(tmp_path):
    done = shell(
        "-m", "course_utils", "train", "digits", *QUICK, "--output-dir", tmp_path, RANK="1"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "model" / "model_index.json").exists()


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


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "butterflies", "--budget", "full", "--help"])
    assert ended.value.code == 0
    shown = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    for field in dataclasses.fields(TrainingConfig):
        option = rf"--{field.name.replace('_', '-')}[ ,]"
        assert re.search(option + r".{30,}?\(default: ", shown), option
    assert "3,150" not in shown
    assert "(default: 3150)" in shown  # what the recipe has at that budget, not TrainingConfig


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["digits", "--learning-rat", "1"], "Unrecognized options: --learning-rat"),
        (["digits", "--push-to-hub"], "Unrecognized options: --push-to-hub"),
        (["digits", "--batch-size", "many"], "Error parsing --batch-size.*'many'"),
        (["digits", "--batch-size", "0"], "batch_size is 0; it must be a whole number at least 1"),
        (["digits", "--loss", "rmse"], "invalid choice .rmse."),
        (["digits", "--min-snr-gamma", "-1"], "min_snr_gamma is -1.0; it must be"),
    ],
)
def test_unknown_options_and_values_are_refused(capsys, tmp_path, options, says):
    with pytest.raises(SystemExit) as ended:
        main(["train", *options, "--output-dir", str(tmp_path / "run")])
    assert ended.value.code == 2
    assert re.search(says, re.sub(r"[\s│]+", " ", capsys.readouterr().err))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["faces"], "There is no recipe 'faces'.*digits, sprites, butterflies, flowers"),
        (["digits", "--budget", "huge"], "at budget 'huge'.*smoke, laptop, full"),
        (["digits", "--budget", "smoke"], "output_dir is None.*--output-dir"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(capsys, options, says):
    assert main(["train", *options]) == 1
    told = capsys.readouterr().err
    assert re.search(says, told)
    assert "Traceback" not in told
    assert main(["train", *options, "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_what_goes_wrong_is_told_in_a_line(capsys, alone):
    again = ["train", "digits", *QUICK, "--output-dir", str(alone)]
    assert main(again) == 1
    assert main([*again, "--source", "drawn"]) == 1
    assert main([*again, "--resume-from", str(alone)]) == 1
    told = capsys.readouterr().err
    assert "FileExistsError: output_dir" in told
    assert "cannot be read as a checkpoint" in told
    assert "Traceback" not in told


def test_other_words_are_told_what_there_is(capsys):
    assert main([]) == main(["dance"]) == 2
    assert main(["--help"]) == 0
    assert capsys.readouterr().out.count("train … or check") == 3


def test_options_reach_the_run(tmp_path):
    options = ["--num-steps", "2", "--num-warmup-steps", "1", "--min-snr-gamma", "5"]
    options += ["--num-processes", "None", "--seed", "3", "--output-dir", str(tmp_path)]
    assert main(["train", "butterflies", *QUICK, *options]) == 0
    about, _ = read_checkpoint(checkpoints(tmp_path / "checkpoints")[-1])
    wanted = {"num_steps": 2, "min_snr_gamma": 5.0, "num_processes": None, "seed": 3}
    assert about["config"].items() >= wanted.items()


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert main(["train", "digits", *QUICK, "--num-steps", "2", "--output-dir=~/run"]) == 0
    assert checkpoints(tmp_path / "run" / "checkpoints")


def parameters(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_fits_together(name, budget):
    """Sizes that halve often enough, batches that can be cut for two."""
    chosen = recipe(name, budget)
    levels = len(chosen.network["block_out_channels"])
    assert chosen.config.image_size % 2 ** (levels - 1) == 0
    assert chosen.config.batch_size % 2 == 0
    if budget == "smoke":
        data = chosen.data()
        short_run(model=chosen.model(len(data.names)), data=data, num_steps=2)


def test_the_networks_are_those_of_the_documents_at_full_size():
    assert parameters(recipe("butterflies", "full").model()) == 113_673_219
    assert parameters(recipe("sprites", "full").model()) == 3_774_467
    assert parameters(recipe("butterflies", "laptop").model()) == 2_325_963


def test_first_weights_follow_from_the_seed_alone():
    torch.manual_seed(1)
    first = recipe("digits", "smoke").model(10)
    state = torch.get_rng_state()
    second = recipe("digits", "smoke").model(10)
    assert torch.equal(weights(first), weights(second))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(weights(network()), weights(first)[: len(weights(network()))])


@pytest.mark.parametrize(("name", "budget"), [("faces", "smoke"), ("digits", "huge")])
def test_an_unknown_recipe_is_refused(name, budget):
    with pytest.raises(ValueError, match=r"no recipe.*digits, sprites, butterflies, flowers"):
        recipe(name, budget)


PAGE = (ROOT / "book" / "scaling.md").read_text()


def test_the_commands_of_the_page_on_scaling_are_understood(monkeypatch):
    runs = []
    monkeypatch.setattr(recipes, "run", lambda chosen, source, resume: runs.append(chosen.config))
    monkeypatch.setattr(training, "run", recipes.run)
    commands = re.findall(r"```bash\n(.*?)```", PAGE, re.S)
    assert len(commands) == 4
    for command in commands:
        launcher, ours = command.replace("\\\n", "").split("-m course_utils train")
        assert main(["train", *shlex.split(ours)]) == 0
        config = runs.pop()
        assert config.batch_size % config.num_processes == 0
        words = shlex.split(launcher)
        if "accelerate" in words:
            arguments = launch_command_parser().parse_args([*words[2:], "-m", "module"])
            assert arguments.num_processes in (None, config.num_processes)


def test_the_configurations_of_the_page_on_scaling_are_read_by_accelerate(tmp_path):
    found = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    assert len(found) == 2
    for text, processes, machines in zip(found, (4, 16), (1, 2), strict=True):
        (tmp_path / "config.yaml").write_text(text)
        config = load_config_from_file(str(tmp_path / "config.yaml"))
        assert (config.num_processes, config.num_machines) == (processes, machines)
        assert config.distributed_type.value == "MULTI_GPU"


def test_processes_that_found_different_checkpoints_stop(monkeypatch, tmp_path):
    monkeypatch.setattr(Accelerator, "gather", lambda self, mine: torch.cat([mine, mine + 4]))
    with pytest.raises(ValueError, match=r"different steps: \[0, 4\].*all machines share"):
        short_run(output_dir=str(tmp_path))
