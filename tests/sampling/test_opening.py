"""Folders of networks, whoever wrote them, and what cannot be opened."""

import json
import shutil

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from course_utils.models import UNet, gallery
from course_utils.sampling import DDPMScheduler, FlowMatchEulerScheduler, open_network, opening
from course_utils.sampling.opening import NetworkUnavailableError, open_folder
from tests.share.small import saved, small_network


@pytest.fixture
def folder(tmp_path):
    return saved(tmp_path / "wings")


def same_weights(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a.float(), b.float()) for a, b in pairs)


def test_a_saved_model_is_opened_with_its_card_but_not_the_hubs_metadata(folder):
    found = open_folder(folder)
    assert found.name == "wings"
    assert same_weights(found.model, small_network())
    assert not found.model.training
    assert found.card.startswith("# wings")
    assert "license:" not in found.card
    assert isinstance(found.noise_scheduler, DDPMScheduler)
    assert found.noise_scheduler.config.prediction_type == "v_prediction"
    assert found.labels == ()


def test_our_network_is_opened_without_running_the_code_beside_it(tmp_path):
    torch.manual_seed(0)
    model = UNet(hidden_dims=(8, 16), image_size=16)
    folder = saved(tmp_path / "ours", model=model)
    (folder / "unet" / "course_unet.py").write_text("raise SystemExit('this was run')")
    found = open_folder(folder)
    assert type(found.model) is UNet
    assert same_weights(found.model, model)


def test_a_run_calls_its_network_by_the_name_of_the_run(folder, tmp_path):
    (tmp_path / "my-run").mkdir()
    shutil.move(folder, tmp_path / "my-run" / "model")
    assert open_folder(tmp_path / "my-run" / "model").name == "my-run"


def test_a_network_of_the_gallery_brings_its_labels():
    found = open_folder(gallery.FOLDER / "sprites-16")
    loaded = gallery.load("sprites-16")
    assert found.labels == loaded.labels
    assert same_weights(found.model, loaded.model)
    assert {p.dtype for p in found.model.parameters()} == {torch.float32}
    assert torch.equal(found.noise_scheduler.betas, loaded.noise_scheduler.betas)


def test_a_bare_network_has_no_scheduler(tmp_path):
    small_network().save_pretrained(tmp_path / "bare")
    assert open_folder(tmp_path / "bare").noise_scheduler is None


def test_flow_matching_of_diffusers_and_ours_is_known(tmp_path):
    for number, scheduler in enumerate(
        (FlowMatchEulerScheduler(100), diffusers.FlowMatchEulerDiscreteScheduler(100))
    ):
        folder = tmp_path / str(number)
        diffusers.DDPMPipeline(small_network(), scheduler).save_pretrained(folder)
        found = open_folder(folder).noise_scheduler
        assert isinstance(found, FlowMatchEulerScheduler)
        assert found.config.num_train_timesteps == 100


def test_betas_of_ones_own_are_kept(tmp_path):
    betas = torch.linspace(0.001, 0.3, 10).tolist()
    scheduler = diffusers.DDIMScheduler(10, trained_betas=betas, prediction_type="sample")
    diffusers.DDPMPipeline(small_network(), scheduler).save_pretrained(tmp_path)
    found = open_folder(tmp_path).noise_scheduler
    assert torch.allclose(found.betas, torch.tensor(betas))
    assert found.config.prediction_type == "sample"


def test_what_cannot_be_opened_is_told(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="holds no network"):
        open_folder(tmp_path / "nowhere")
    config = folder / "unet" / "config.json"
    said = json.loads(config.read_text())
    config.write_text(json.dumps(said | {"_class_name": "UNet2DConditionModel"}))
    with pytest.raises(ValueError, match="holds a UNet2DConditionModel; this takes a UNet2DModel"):
        open_folder(folder)


def test_missing_weights_are_not_made_up(folder):
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights.pop("conv_out.bias")
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(ValueError, match=r"lack conv_out\.bias"):
        open_folder(folder)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}, "that shifts"),
        ({"_class_name": "EDMEulerScheduler", "sigma_min": 0.002}, "does not say its betas"),
    ],
)
def test_noise_levels_that_are_not_known_are_refused(folder, config, says):
    told = json.dumps(config | {"num_train_timesteps": 1000})
    (folder / "scheduler/scheduler_config.json").write_text(told)
    with pytest.raises(ValueError, match=says):
        open_folder(folder)


def test_a_network_is_opened_by_its_name_wherever_it_lies(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_network("sprites-16").no_label == 5
    assert open_network("wings").name == "wings"
    (tmp_path / "run").mkdir()
    shutil.copytree(folder, tmp_path / "run" / "model")
    assert open_network(tmp_path / "run").name == "run"
    shutil.copytree(folder, tmp_path / "sprites-16")
    assert len(open_network("sprites-16").labels) == 5, "the gallery's comes first"
    assert open_network("./sprites-16").labels == ()


def test_a_network_on_the_hub_is_loaded_without_code_or_pickles(folder, monkeypatch):
    from fnmatch import fnmatch

    import huggingface_hub

    asked = {}

    def snapshot(name, allow_patterns):
        asked.update(name=name, patterns=allow_patterns)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    found = open_network("somebody/moths")
    assert (found.name, asked["name"]) == ("moths", "somebody/moths")
    assert same_weights(found.model, small_network())
    for path, wanted in (
        ("unet/diffusion_pytorch_model.safetensors", True),
        ("scheduler/scheduler_config.json", True),
        ("unet/diffusion_pytorch_model.bin", False),
        ("unet/course_unet.py", False),
    ):
        assert any(fnmatch(path, pattern) for pattern in asked["patterns"]) is wanted


def test_a_hub_that_does_not_answer_is_told_and_nothing_else_is_loaded(monkeypatch):
    import huggingface_hub

    def refuse(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(NetworkUnavailableError, match=r"'a/b'.*ConnectionError: no route"):
        open_network("a/b")


def test_a_run_is_opened_and_one_that_was_stopped_is_told(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text('{"made": []}')
    for opens in (open_network, open_folder):
        for what in ("run", "run/model"):  # not the model of somebody called run, on the Hub
            with pytest.raises(FileNotFoundError, match=r"^run is a run that has .* --resume"):
                opens(what)
    shutil.copytree(folder, run / "model")
    assert open_folder("run").name == open_folder("run/model").name == "run"


@pytest.mark.parametrize("name", ["nobody", "./a/b/c", "/no/such", "owner/name/more"])
def test_a_name_that_is_nothing_is_refused(name):
    with pytest.raises(FileNotFoundError, match=r"There is no network .*sprites-16"):
        open_network(name)


def test_whether_a_label_stands_for_no_label_is_told_by_the_names(tmp_path):
    for labels, wanted in (("a", "b"), 2), (("a", "b", "c"), None), ((), None):
        found = opening.Opened("x", small_network(num_class_embeds=3), None, labels, "")
        assert found.no_label == wanted
