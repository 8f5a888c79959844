"""Recipes that fit together, and the page on scaling that tells how to run them."""

import math
import re
import shlex
from dataclasses import replace

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser

from course_utils.budget import BUDGETS
from course_utils.models import gallery
from course_utils.sampling import FlowMatchEulerScheduler, open_network
from course_utils.share import save_run
from course_utils.share.training import read
from course_utils.training import RECIPES, recipe
from course_utils.training.planning import Plan
from course_utils.training.recipes import plain_blocks
from tests.conftest import ROOT
from tests.trainer import network, short_run, weights


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


@pytest.mark.parametrize("sheet", ["digits-28", "sprites-16", "butterflies-32"])
def test_the_laptop_recipe_trains_the_network_of_its_chapter(sheet):
    made = gallery.sheet(sheet).card
    chosen = recipe(sheet.split("-")[0], "laptop")
    assert chosen.config.num_steps == made["updates"]
    assert parameters(chosen.model(len(made["labels"]))) == made["parameters"]


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_by_which_path_noise_comes(name, budget):
    chosen = recipe(name, budget)
    scheduler = chosen.noise_scheduler()
    if budget == "laptop" and name.startswith(("flowers", "sprites")):  # benchmarks/recipes.txt
        assert isinstance(scheduler, FlowMatchEulerScheduler)
        assert scheduler.config.num_train_timesteps == 1_000
        assert chosen.config.timestep_sampling == "logit_normal"
    else:
        assert scheduler.config.beta_schedule == "squaredcos_cap_v2"
        assert scheduler.config.prediction_type == "v_prediction"
        assert chosen.config.timestep_sampling == "uniform"


@pytest.mark.parametrize("weights", [None, 5.0])
@pytest.mark.parametrize("name", ["sprites", "flowers"])
def test_a_recipe_of_flow_matching_is_trained_saved_and_opened(name, weights, tmp_path):
    chosen = recipe(name, "laptop")
    changes = {"num_steps": 3, "num_warmup_steps": 1, "batch_size": 4, "min_snr_gamma": weights}
    config = replace(chosen.config, **changes, output_dir=str(tmp_path / "run"))
    small = replace(chosen, config=config, count=18, network=plain_blocks((8, 8), 1, groups=8))
    data = small.data()
    plan = Plan(
        name=name,
        config=config,
        model=small.model(len(data.names)),
        noise_scheduler=small.noise_scheduler(),
        data=data,
    )
    run = plan.train(progress=False)
    assert all(math.isfinite(loss) for loss in run.losses)
    opened = open_network(save_run(tmp_path / "saved", plan, run))
    assert isinstance(opened.noise_scheduler, FlowMatchEulerScheduler)
    assert opened.noise_scheduler.config.num_train_timesteps == 1_000


def test_two_halves_share_no_picture():
    a, b = (recipe(f"sprites-{half}", "overnight") for half in "ab")
    assert (a.first, b.first) == (0, a.count)
    assert a.count == b.count == recipe("sprites", "overnight").count // 2
    first, second = (recipe(f"sprites-{half}", "smoke").data().images for half in "ab")
    assert not (first[:, None] == second[None]).flatten(2).all(2).any()
    assert torch.equal(torch.cat([first, second]), recipe("sprites", "smoke").data().images)


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
    known = "digits, sprites, sprites-a, sprites-b, butterflies, flowers"
    with pytest.raises(ValueError, match=f"no recipe.*{known}"):
        recipe(name, budget)


PAGE = (ROOT / "book" / "scaling.md").read_text()


def test_the_commands_of_the_page_on_scaling_are_understood():
    commands = re.findall(r"```bash\n(.*?)```", PAGE, re.S)
    assert len(commands) == 4
    for command in commands:
        launcher, ours = command.replace("\\\n", "").split("-m course_utils train")
        config = read(shlex.split(ours))[0].config
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
