"""Sharing a model: the real client of huggingface_hub against a small Hub on loopback."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass

import huggingface_hub
import pytest
import safetensors.torch
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from huggingface_hub import constants
from huggingface_hub.utils import _http
from PIL import Image

from course_utils.sampling import ddpm as schedulers
from course_utils.share import HubError, model_card, push_to_hub, save_model
from course_utils.share.hub import WEIGHTS
from tests.share.hub_server import READ, WRITE, Server

# huggingface_hub hands its own HTTP client a file in a way that the client no longer likes.
pytestmark = pytest.mark.filterwarnings("default:Use 'content=:DeprecationWarning")

WANTED = [
    "README.md",
    "model_index.json",
    "samples.png",
    "scheduler/scheduler_config.json",
    "training.json",
    "unet/config.json",
    WEIGHTS,
]


@dataclass
class Config:
    num_steps: int = 120
    learning_rate: float = 2e-3


def small_network():
    torch.manual_seed(0)
    return UNet2DModel(
        sample_size=16,
        block_out_channels=(8, 8),
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        norm_num_groups=4,
        layers_per_block=1,
    )


def facts():
    return {
        "model": small_network(),
        "noise_scheduler": DDPMScheduler(1000, prediction_type="v_prediction"),
        "config": Config(),
        "losses": [1 / (k + 1) for k in range(120)],
    }


def card(**changes):
    told = {"subject": "butterflies", "source": "Drawn by the course.", "licence": "cc-by-4.0"}
    return model_card("wings", **(told | facts() | changes))


@pytest.fixture
def folder(tmp_path):
    samples = torch.linspace(-1, 1, 6 * 3 * 16 * 16).view(6, 3, 16, 16)
    return save_model(tmp_path / "wings", card=card(), samples=samples, **facts())


def bytes_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub on loopback, the client turned to it, and ada logged in."""
    with Server() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)  # between its retries
        monkeypatch.setenv("HF_TOKEN", WRITE)
        huggingface_hub.close_session()
        yield server
    huggingface_hub.close_session()


def test_a_saved_model_is_whole_and_loads_without_the_course(folder):
    assert sorted(bytes_of(folder)) == WANTED
    pipeline = DDPMPipeline.from_pretrained(folder)
    for mine, loaded in zip(small_network().parameters(), pipeline.unet.parameters(), strict=True):
        assert torch.equal(mine, loaded)
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    assert Image.open(folder / "samples.png").size == (4 * 128, 2 * 128)
    numbers = json.loads((folder / "training.json").read_text())
    assert numbers["config"] == {"num_steps": 120, "learning_rate": 2e-3}
    assert numbers["losses"] == facts()["losses"]


def test_the_card_says_what_a_stranger_needs():
    written = card()
    assert written.data.license == "cc-by-4.0"
    assert written.data.library_name == "diffusers"
    assert written.data.pipeline_tag == "unconditional-image-generation"
    text = str(written)
    for wanted in (
        "Drawn by the course.",
        "| `learning_rate` | 0.002 |",
        "16×16",
        f"{small_network().num_parameters():,} parameters",
        "`v_prediction` on 1,000 noise",
        "120 optimiser updates",
        "(samples.png)",
        "## Limits",
    ):
        assert wanted in text, wanted
    last = sum(1 / (k + 1) for k in range(70, 120)) / 50
    assert f"| 120 | {last:.4f} |" in text


def test_the_example_in_the_card_runs(folder):
    code = str(card()).split("```python\n")[1].split("```")[0].replace("=50", "=2")
    environment = os.environ | {"PYTHONPATH": "", "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=folder.parent, env=environment, capture_output=True
    )
    assert run.returncode == 0, run.stderr.decode()
    assert Image.open(folder.parent / "sample.png").size == (16, 16)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"licence": " "}, "licence is empty"),
        ({"source": ""}, "source is empty"),
        ({"losses": []}, "losses is empty"),
    ],
)
def test_a_card_that_would_leave_readers_guessing_is_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        card(**changes)


def test_a_scheduler_that_others_do_not_have_is_refused(tmp_path):
    ours = facts() | {"noise_scheduler": schedulers.DDPMScheduler(1000)}
    with pytest.raises(ValueError, match=r"diffusers\.DDPMScheduler"):
        save_model(tmp_path / "wings", card=card(), samples=torch.zeros(1, 3, 16, 16), **ours)
    assert not (tmp_path / "wings").exists()


def test_what_was_pushed_loads_back_bit_for_bit(folder, hub, tmp_path):
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.safetensors").write_bytes(b"mine")
    (folder / ".env").write_text("mine")
    assert push_to_hub(folder) == f"{hub.url}/ada/wings"
    assert sorted(set(hub.state.repos["ada/wings"]) - {".gitattributes"}) == WANTED
    assert hub.state.private["ada/wings"] in (False, None)
    code = (
        "import sys, diffusers, safetensors.torch as s;"
        "p = diffusers.DDPMPipeline.from_pretrained('ada/wings');"
        f"s.save_model(p.unet, {str(tmp_path / 'back.safetensors')!r})"
    )
    environment = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(tmp_path / "home"),
    }
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert run.returncode == 0, run.stderr.decode()
    back = UNet2DModel.from_config(small_network().config)
    safetensors.torch.load_model(back, tmp_path / "back.safetensors")
    for mine, loaded in zip(small_network().parameters(), back.parameters(), strict=True):
        assert torch.equal(mine, loaded)
    assert 'MODEL = "ada/wings"' in hub.state.repos["ada/wings"]["README.md"].decode()


def test_a_private_model_is_made_private(folder, hub):
    push_to_hub(folder, "ada/secret-wings", private=True)
    assert hub.state.private["ada/secret-wings"] is True


def fails(folder, *words, **options):
    """Push, expect an error with these words, and the folder as whole as before."""
    before = {k: v for k, v in bytes_of(folder).items() if k != "README.md"}
    with pytest.raises(HubError) as caught:
        push_to_hub(folder, **options)
    message = str(caught.value)
    for word in (*words, "Nothing is lost", str(folder)):
        assert word in message, message
    assert caught.value.__cause__ is None
    after = bytes_of(folder)
    assert all(after[name] == data for name, data in before.items())
    DDPMPipeline.from_pretrained(folder)
    return message


def test_without_a_token_nothing_is_asked_of_the_hub(folder, hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    fails(folder, "logged in", "hf auth login")
    assert hub.state.requests == []


def test_no_network(folder, hub, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        port = unused.getsockname()[1]
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
        fails(folder, "could not be reached", "Check the network", "run the same line again")


def test_offline_by_the_readers_own_setting(folder, hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    fails(folder, "HF_HUB_OFFLINE")


@pytest.mark.parametrize(
    ("token", "name", "words"),
    [
        ("hf_nobody", "wings", ("401", "hf auth login")),
        (READ, "wings", ("403", "'write' permission")),
        (WRITE, "grace/wings", ("403", "under grace", "yours")),
        (WRITE, "no spaces please", ("no spaces please", "cannot be a name")),
    ],
)
def test_refusals_are_explained(folder, hub, monkeypatch, token, name, words):
    monkeypatch.setenv("HF_TOKEN", token)
    fails(folder, *words, repo_id=name)
    assert hub.state.commits == []


def test_a_name_that_is_taken_is_not_overwritten_unasked(folder, hub):
    push_to_hub(folder)
    hub.state.repos["ada/wings"]["notes.md"] = b"by hand"
    fails(folder, "ada/wings already", "update=True")
    assert len(hub.state.commits) == 1
    (folder / "training.json").write_text("{}")
    push_to_hub(folder, update=True)
    assert hub.state.repos["ada/wings"]["training.json"] == b"{}"
    assert hub.state.repos["ada/wings"]["notes.md"] == b"by hand"


@pytest.mark.parametrize(
    ("step", "fault", "words"),
    [
        ("create", [500], ("500",)),
        ("preupload", [500] * 6, ("500", "run the same line again")),
        ("batch", [403], ("403",)),
        ("lfs", ["drop"] * 6, ("broke off", "run the same line again")),
        ("lfs", [500] * 6, ("500", "for the Hub to mend")),
        ("commit", [500], ("500",)),
        ("commit", [409], ("409", "Wait a minute")),
        ("commit", ["drop"], ("broke off",)),
    ],
)
def test_an_upload_that_breaks_off_can_be_gone_on_with(folder, hub, step, fault, words):
    hub.state.faults[step] = list(fault)
    fails(folder, *words)
    assert hub.state.commits == []
    hub.state.faults.clear()
    push_to_hub(folder)  # the same line again, without update=True
    there = hub.state.repos["ada/wings"]
    assert {k: v for k, v in there.items() if k != ".gitattributes"} == bytes_of(folder)


def test_a_connection_that_breaks_once_is_not_even_noticed(folder, hub):
    hub.state.faults["lfs"] = ["drop", 500]
    push_to_hub(folder)
    assert hub.state.repos["ada/wings"][WEIGHTS] == (folder / WEIGHTS).read_bytes()


def test_the_token_is_told_to_nobody(folder, hub, capfd, caplog):
    caplog.set_level("INFO")
    hub.state.echo = f" (you sent {WRITE})"
    hub.state.faults["commit"] = [403]
    message = fails(folder, "403", "<your token>")
    push_to_hub(folder)
    shown = capfd.readouterr()
    stored = b"".join(hub.state.repos["ada/wings"].values()) + b"".join(bytes_of(folder).values())
    for text in (message, shown.out, shown.err, caplog.text, stored.decode("latin-1")):
        assert WRITE not in text


def test_a_card_that_holds_the_token_is_not_sent(folder, hub):
    card = folder / "README.md"
    card.write_text(card.read_text() + f"\nlogin({WRITE!r})\n")
    with pytest.raises(HubError, match=r"README\.md contains your Hugging Face token") as caught:
        push_to_hub(folder)
    assert WRITE not in str(caught.value)
    assert hub.state.requests == []


@pytest.mark.parametrize("missing", ["model_index.json", WEIGHTS, "README.md"])
def test_a_folder_from_which_nobody_could_load_is_refused(folder, hub, missing):
    (folder / missing).unlink()
    with pytest.raises(HubError, match=f"lacks {missing}"):
        push_to_hub(folder)
    assert hub.state.requests == []
