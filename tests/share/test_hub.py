"""Sharing a model: the real client of huggingface_hub against a small Hub on loopback."""

import os
import shutil
import socket
import subprocess
import sys

import huggingface_hub
import pytest
import safetensors.torch
import torch
from diffusers import DDPMPipeline, UNet2DModel
from huggingface_hub import constants
from huggingface_hub.utils import _http

from course_utils.__main__ import main
from course_utils.models import UNet
from course_utils.share import HubError, push_to_hub
from course_utils.share.folder import WEIGHTS
from tests.share.hub_server import READ, WRITE, Server
from tests.share.small import WANTED, bytes_of, saved, small_network

# huggingface_hub hands its own HTTP client a file in a way that the client no longer likes.
pytestmark = pytest.mark.filterwarnings("default:Use 'content=:DeprecationWarning")


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


def test_the_command_sends_the_model_of_a_run_under_the_name_of_the_run(hub, tmp_path, capsys):
    saved(tmp_path / "my-run" / "model")
    (tmp_path / "my-run" / "samples").mkdir()
    assert main(["push", str(tmp_path / "my-run"), "--private"]) == 0
    assert f"{hub.url}/ada/my-run" in capsys.readouterr().out
    assert sorted(set(hub.state.repos["ada/my-run"]) - {".gitattributes"}) == WANTED
    assert hub.state.private["ada/my-run"] is True
    assert main(["push", str(tmp_path / "my-run" / "model")]) == 1  # the same name
    assert "a model ada/my-run already" in capsys.readouterr().err
    assert main(["push", str(tmp_path / "my-run"), "--name", "ada/other", "--update"]) == 0
    assert "ada/other" in hub.state.repos
    shutil.rmtree(tmp_path / "my-run" / "model")
    (tmp_path / "my-run" / "run.json").write_text('{"made": []}')
    assert main(["push", str(tmp_path / "my-run")]) == 1
    assert "a run that has made no model so far" in capsys.readouterr().err


def test_our_own_network_is_pushed_with_its_code_and_loads_elsewhere(hub, tmp_path, elsewhere):
    torch.manual_seed(0)
    push_to_hub(saved(tmp_path / "petals", model=UNet(3, (8, 16, 16), 16)))
    code = (
        "import diffusers;"
        "p = diffusers.DDPMPipeline.from_pretrained('ada/petals', trust_remote_code=True);"
        "print(p(num_inference_steps=2).images[0].size)"
    )
    remote = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    run = elsewhere(code, without_course=True, HF_HOME=str(tmp_path / "home"), **remote)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "(16, 16)\n"


def test_an_old_token_in_the_environment_is_named_as_the_culprit(
    folder, hub, monkeypatch, tmp_path
):
    stored = tmp_path / "token"
    stored.write_text(WRITE)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(stored))
    monkeypatch.setenv("HF_TOKEN", "hf_of_last_year")
    fails(folder, "401", "variable HF_TOKEN", "wins over the login", "Unset it")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", "hf_of_last_year")
    fails(folder, "401", "variable HUGGING_FACE_HUB_TOKEN")
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN")
    push_to_hub(folder)  # by the stored login
    stored.write_text("hf_of_last_year")
    assert "variable" not in fails(folder, "401", "hf auth login")


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


def damaged(folder, how):
    weights, index = folder / WEIGHTS, folder / "model_index.json"
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif how == "other weights":
        tensors = safetensors.torch.load_file(weights)
        tensors.pop("conv_in.bias")
        safetensors.torch.save_file(tensors, weights, {"format": "pt"})
    elif how == "no json":
        index.write_text(index.read_text()[:20])
    elif how == "only here":
        index.write_text(
            index.read_text().replace('"diffusers",', '"course_utils.models.unet",', 1)
        )
    elif how == "other code":
        index.write_text(
            index.read_text().replace('"diffusers",\n    "UNet2D', '"evil",\n    "UNet2D')
        )
        (folder / "unet" / "evil.py").write_text("raise SystemExit('this was run')")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("truncated", "does not load: .*save_model"),
        ("other weights", r"do not belong together: only one of them has conv_in\.bias"),
        ("no json", "does not load: JSONDecodeError"),
        ("only here", r"names course_utils\.models\.unet.* which others do not have"),
        ("other code", "not the code that save_model writes"),
    ],
)
def test_a_damaged_folder_is_not_sent(folder, hub, how, words):
    damaged(folder, how)
    with pytest.raises(HubError, match=words):
        push_to_hub(folder)
    assert hub.state.requests == []
