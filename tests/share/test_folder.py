"""A saved model: complete, loadable without the course, and explained by its card."""

import json

import numpy as np
import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, DiffusionPipeline
from PIL import Image

from course_utils import sampling
from course_utils.models import UNet
from course_utils.share import HubError, save_model
from course_utils.share.portable import CODE, network_code, portable_scheduler
from tests.share.small import WANTED, bytes_of, card, facts, saved, small_network


def our_network(**changes):
    torch.manual_seed(0)
    return UNet(3, (8, 16, 16), 16, **changes)


def test_a_saved_model_is_whole_and_loads_without_the_course(folder):
    assert sorted(bytes_of(folder)) == WANTED
    pipeline = DDPMPipeline.from_pretrained(folder)
    for mine, loaded in zip(small_network().parameters(), pipeline.unet.parameters(), strict=True):
        assert torch.equal(mine, loaded)
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    assert Image.open(folder / "samples.png").size == (3 * 128, 2 * 128)
    numbers = json.loads((folder / "training.json").read_text())
    assert numbers["config"] == {"num_steps": 120, "learning_rate": 2e-3}
    assert numbers["losses"] == facts()["losses"]


@pytest.mark.parametrize("name", ["README.md", "samples.png", "training.json", "unet/mine.py"])
def test_your_files_are_not_written_over(tmp_path, name):
    mine = tmp_path / "project" / name
    mine.parent.mkdir(parents=True)
    mine.write_text('{"mine": 1}')
    with pytest.raises(
        FileExistsError, match=rf"project holds {name.split('/')[0]}, and is no sav"
    ):
        saved(tmp_path / "project")
    assert bytes_of(tmp_path / "project") == {name: b'{"mine": 1}'}
    with pytest.raises(FileExistsError, match=r"is a file; choose another folder"):
        saved(mine)


def test_a_saved_model_is_replaced_also_one_that_was_only_begun(folder, tmp_path):
    (folder / "notes.txt").write_text("mine")
    saved(folder)
    (folder / "model_index.json").unlink()
    (folder / "README.md").unlink()
    saved(folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert sorted(bytes_of(folder)) == sorted([*WANTED, "notes.txt"])


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert saved("~/wings") == tmp_path / "wings"
    with pytest.raises(ValueError, match=r"^folder is '~nobody-at-all/x', but"):
        saved("~nobody-at-all/x")
    with pytest.raises(ValueError, match=r"^folder is '', which can be no path"):
        saved("")


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


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"licence": " "}, "licence is ' ', which the Hub calls no licence"),
        ({"licence": "CC BY 4.0"}, "licence is 'CC BY 4.0'"),
        ({"licence": "cc-by-4.0\n"}, "licence is"),
        ({"source": ""}, "source is empty"),
        ({"losses": []}, "losses is empty"),
    ],
)
def test_a_card_that_would_leave_readers_guessing_is_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        card(**changes)


KINDS = {
    "theirs": lambda: {"noise_scheduler": sampling.DDPMScheduler(1000)},
    "theirs, with classes": lambda: {"model": small_network(num_class_embeds=3)},
    "ours": lambda: {"model": our_network(), "noise_scheduler": sampling.DDIMScheduler(1000)},
    "ours, with classes and flow": lambda: {
        "model": our_network(num_class_embeds=3),
        "noise_scheduler": sampling.FlowMatchEulerScheduler(1000),
    },
    "ours, with flow": lambda: {
        "model": our_network(),
        "noise_scheduler": sampling.FlowMatchEulerScheduler(1000),
    },
}


@pytest.mark.parametrize("without_course", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_example_in_the_card_runs_as_it_is_printed(tmp_path, elsewhere, kind, without_course):
    written = saved(tmp_path / "wings", **KINDS[kind]()) / "README.md"
    code = written.read_text().split("```python\n")[1].split("```")[0]
    assert ("trust_remote_code=True" in code) is kind.startswith("ours")
    run = elsewhere(code + "\nprint(type(pipeline.scheduler).__name__)", without_course)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[-1] == (
        "FlowMatchEulerDiscreteScheduler" if "flow" in kind else "DDIMScheduler"
    )
    assert Image.open(tmp_path / "sample.png").size == (16, 16)


def test_a_card_for_classes_names_them(tmp_path):
    network = small_network(num_class_embeds=3)
    written = str(card(model=network, class_names=["red", "blue"]))
    assert "unconditional" not in written
    assert "a class-conditional (3 classes) diffusion model" in written
    assert "Labels run from 0 to 2: 0 red, 1 blue. 2 stands for no label." in written
    assert "Labels run from 0 to 2.\n" in str(card(model=network))
    for model, names in ((network, ["red"]), (small_network(), ["red", "blue"])):
        with pytest.raises(ValueError, match=f"class_names has {len(names)} names"):
            card(model=model, class_names=names)


@pytest.mark.parametrize(
    "ours",
    [
        sampling.DDPMScheduler(40, beta_schedule="sigmoid", variance_type="fixed_large"),
        sampling.DDPMScheduler(4, trained_betas=np.array([0.1, 0.2, 0.3, 0.4])),
        sampling.DDIMScheduler(40, set_alpha_to_one=False, steps_offset=1, clip_sample=False),
        sampling.DDIMScheduler(
            40,
            beta_schedule="squaredcos_cap_v2",
            prediction_type="v_prediction",
            timestep_spacing="trailing",
            rescale_betas_zero_snr=True,
        ),
        sampling.FlowMatchEulerScheduler(40),
    ],
    ids=lambda ours: type(ours).__name__,
)
def test_our_scheduler_is_saved_as_its_twin_which_draws_the_same(tmp_path, ours):
    where = saved(tmp_path / "wings", noise_scheduler=ours)
    index = json.loads((where / "model_index.json").read_text())
    assert index["scheduler"][0] == "diffusers"
    pipeline = DiffusionPipeline.from_pretrained(where)
    drawn = []
    for scheduler in (ours, pipeline.scheduler):
        scheduler.set_timesteps(4)
        x, generator = torch.ones(1, 3, 16, 16), torch.Generator().manual_seed(1)
        with torch.inference_mode():
            for t in scheduler.timesteps:
                prediction = pipeline.unet(x, t).sample
                x = scheduler.step(prediction, t, x, generator=generator).prev_sample
        drawn.append(x)
    torch.testing.assert_close(*drawn, rtol=0, atol=1e-3)


class Homemade(sampling.DDPMScheduler):
    pass


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (lambda: {"noise_scheduler": Homemade(1000)}, "Homemade, which others do not have"),
        (
            lambda: {"noise_scheduler": sampling.DDIMScheduler(100, beta_schedule="sigmoid")},
            "DDIMScheduler cannot say what.*sigmoid.*trained_betas",
        ),
        (lambda: {"model": type("Mine", (UNet,), {})(3, (8, 16), 16)}, "Mine, which others"),
    ],
)
def test_what_others_do_not_have_is_refused(tmp_path, changes, complaint):
    told = facts() | changes()
    with pytest.raises(ValueError, match=complaint):
        save_model(tmp_path / "wings", card=card(), samples=torch.zeros(1, 3, 16, 16), **told)
    assert not (tmp_path / "wings").exists()


def test_a_twin_that_says_something_else_is_refused_by_name(monkeypatch):
    ours = sampling.DDPMScheduler(100)
    make = DDPMScheduler.__init__
    monkeypatch.setattr(
        DDPMScheduler, "__init__", lambda self, **given: make(self, **given | {"beta_end": 0.03})
    )
    with pytest.raises(ValueError, match="of beta_end, alphas_cumprod"):
        portable_scheduler(ours)


def test_our_network_travels_with_its_code(tmp_path):
    model = our_network(num_class_embeds=2)
    where = saved(tmp_path / "wings", model=model)
    assert sorted(bytes_of(where)) == sorted([*WANTED, f"unet/{CODE}.py"])
    code = (where / "unet" / f"{CODE}.py").read_text()
    assert "import course_utils" not in code
    assert "from course_utils" not in code
    assert "Apache License, Version 2.0" in code
    assert "Apache License 2.0" in " ".join((where / "README.md").read_text().split())
    with pytest.raises(ValueError, match="trust_remote_code"):
        DDPMPipeline.from_pretrained(where)
    network = DDPMPipeline.from_pretrained(where, trust_remote_code=True).unet
    assert type(network) is not UNet
    x, labels = torch.randn(2, 3, 16, 16), torch.tensor([0, 1])
    found = network(x, 5, class_labels=labels).sample
    torch.testing.assert_close(found, model(x, 5, class_labels=labels).sample)
    assert isinstance(UNet.from_pretrained(where, subfolder="unet"), UNet)


def test_saving_says_so_when_another_model_comes_back(tmp_path, monkeypatch):
    whole = DDPMPipeline.save_pretrained

    def lossy(pipeline, where):
        with torch.no_grad():
            pipeline.unet.conv_in.bias.add_(1)
        whole(pipeline, where)
        with torch.no_grad():
            pipeline.unet.conv_in.bias.sub_(1)

    monkeypatch.setattr(DDPMPipeline, "save_pretrained", lossy)
    with pytest.raises(HubError, match=r"came back with another conv_in\.bias than was saved"):
        saved(tmp_path / "wings")


def test_a_model_in_half_precision_is_saved(tmp_path):
    saved(tmp_path / "wings", model=our_network().half())


def test_the_code_that_travels_is_short_of_nothing():
    """It runs alone, and has the classes in it."""
    names = {"__name__": "alone"}
    exec(compile(network_code(), "alone.py", "exec"), names)
    torch.manual_seed(0)
    assert names["UNet"](3, (8, 16, 16), 16).num_parameters() == our_network().num_parameters()
