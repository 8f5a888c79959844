"""Grids and curves on the way: right, readable, and without a trace in the training."""

import importlib.util
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from PIL import Image

from course_utils.data import image_grid, to_uint8
from course_utils.metrics import Artist, draw, extractor, kernel_distance
from course_utils.sampling import FlowMatchEulerScheduler, quick_scheduler, sample
from course_utils.sampling import ddpm as schedulers
from course_utils.training import loop
from course_utils.training.grids import draw_samples
from course_utils.training.tracking import TrackerError
from tests.trainer import assert_same, network, pictures, settings, short_run

QUICK = {"eval_inference_steps": 2, "eval_batch_size": 4, "save_image_steps": 2}


def test_drawing_and_keeping_does_not_change_the_training(tmp_path):
    first, second = network(dropout=0.2), network(dropout=0.2)
    torch.manual_seed(1)
    plain = short_run(model=first)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    kept = short_run(
        model=second,
        output_dir=str(tmp_path),
        save_model_steps=1,
        tracker="tensorboard",
        **QUICK | {"save_image_steps": 1},
    )
    assert_same(plain, kept)
    assert torch.equal(torch.get_rng_state(), before)  # nor your own random numbers
    assert len(list((tmp_path / "samples").iterdir())) == 6


def test_a_grid_shows_what_the_averaged_weights_draw(tmp_path):
    run = short_run(output_dir=str(tmp_path), **QUICK)
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == ["step-000002.png", "step-000004.png", "step-000006.png"]
    ddim = DDIMScheduler(timestep_spacing="trailing", clip_sample=False)
    images = sample(
        run.ema_model, ddim, seeds=range(4), class_labels=range(4), num_inference_steps=2
    ).images
    expected = to_uint8(images)[:, 0].reshape(2, 2, 8, 8).permute(0, 2, 1, 3).reshape(16, 16)
    with Image.open(tmp_path / "samples" / names[-1]) as grid:
        assert np.array_equal(np.asarray(grid), expected.numpy())


def test_a_grid_of_an_odd_number_of_pictures_has_a_place_for_each():
    images = torch.linspace(-1, 1, 5).view(5, 1, 1, 1).expand(5, 3, 2, 2)
    grid = image_grid(images)
    assert grid.size == (6, 4)
    corners = [grid.getpixel((k % 3 * 2, k // 3 * 2))[0] for k in range(6)]
    assert corners == [0, 64, 128, 191, 255, 0]


def test_the_class_for_no_label_is_not_drawn(monkeypatch):
    wanted = []
    monkeypatch.setattr(
        "course_utils.training.grids.sample",
        lambda *_, class_labels, **__: wanted.append(class_labels) or type("S", (), {"images": 0}),
    )
    config = settings(eval_batch_size=11, label_dropout=0.1)
    draw_samples(config, network(), DDPMScheduler())
    draw_samples(settings(eval_batch_size=11), network(), DDPMScheduler())
    assert wanted == [[*range(9), 0, 1], [*range(10), 0]]


@pytest.mark.parametrize(
    "scheduler",
    [
        DDPMScheduler(100, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction"),
        schedulers.DDPMScheduler(100, beta_schedule="sigmoid", prediction_type="v_prediction"),
    ],
)
def test_grids_are_sampled_over_the_noise_levels_of_the_training(scheduler):
    quick = quick_scheduler(scheduler)
    torch.testing.assert_close(quick.alphas_cumprod, scheduler.alphas_cumprod, atol=1e-6, rtol=1e-4)
    assert quick.config.prediction_type == "v_prediction"
    quick.set_timesteps(10)
    assert quick.timesteps[0] == 99


def test_flow_matching_is_sampled_as_it_was_trained(tmp_path):
    scheduler = FlowMatchEulerScheduler(50)
    before = scheduler.timesteps.clone()
    short_run(scheduler=scheduler, output_dir=str(tmp_path), **QUICK)
    assert len(list((tmp_path / "samples").iterdir())) == 3
    assert torch.equal(scheduler.timesteps, before)


def events(folder):
    """What TensorBoard itself reads in a folder of logs, one accumulator for each file's folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for path in sorted({path.parent for path in folder.rglob("events.*")}):
        found[path] = EventAccumulator(str(path), size_guidance={"images": 0, "scalars": 0})
        found[path].Reload()
    return found


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    run = short_run(output_dir=str(folder), tracker="tensorboard", min_snr_gamma=5.0, **QUICK)
    return run, events(folder / "logs")


def one(found, tag, kind):
    (accumulator,) = [a for a in found.values() if tag in a.Tags()[kind]]
    return accumulator


def test_tensorboard_gets_every_loss_and_a_learning_rate_that_ends_at_zero(logged):
    run, found = logged
    curve = one(found, "loss", "scalars").Scalars("loss")
    assert [point.step for point in curve] == [1, 2, 3, 4, 5, 6]
    assert [point.value for point in curve] == pytest.approx(run.losses, rel=1e-6)
    rates = [point.value for point in one(found, "loss", "scalars").Scalars("learning_rate")]
    assert max(rates) == pytest.approx(1e-3)
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_tensorboard_gets_the_sample_grids(logged):
    _, found = logged
    images = [a for a in found.values() if any("samples" in t for t in a.Tags()["images"])]
    (accumulator,) = images
    tags = accumulator.Tags()["images"]
    assert {image.step for tag in tags for image in accumulator.Images(tag)} == {2, 4, 6}


def test_tensorboard_gets_the_settings(logged):
    _, found = logged
    from tensorboard.plugins.hparams import plugin_data_pb2

    told = {}
    for accumulator in found.values():
        for tag, content in accumulator.summary_metadata.items():
            if tag.startswith("_hparams_/session_start"):
                data = plugin_data_pb2.HParamsPluginData.FromString(content.plugin_data.content)
                for name, value in data.session_start_info.hparams.items():
                    told[name] = value.number_value or value.string_value
    assert told["learning_rate"] == 1e-3
    assert told["min_snr_gamma"] == 5
    assert told["mixed_precision"] == "no"
    assert told["image_size"] == "none"


def test_a_resumed_run_goes_on_with_the_same_curve(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    kept = {"output_dir": str(tmp_path), "tracker": "tensorboard", "save_model_steps": 2}
    with monkeypatch.context() as patch:
        draw, count = loop.draw_batch, iter(range(5))
        patch.setattr(
            loop, "draw_batch", lambda *a: draw(*a) if next(count, None) is not None else stop()
        )
        with pytest.raises(KeyboardInterrupt):
            short_run(**QUICK | kept)
    run = short_run(resume=True, **QUICK | kept)
    curve = one(events(tmp_path / "logs"), "loss", "scalars").Scalars("loss")
    assert [point.step for point in curve] == [1, 2, 3, 4, 5, 6]
    assert [point.value for point in curve] == pytest.approx(run.losses, rel=1e-6)


def test_tensorboard_gets_a_curve_of_kernel_distances_that_costs_no_chance(tmp_path):
    judged = {"judge_every": 4, "judge_batch_size": 7, "tracker": "tensorboard"}
    data = pictures(count=80)
    run = short_run(output_dir=str(tmp_path), data=data, **judged | QUICK)
    assert_same(run, short_run(data=data))
    found = events(tmp_path / "logs")
    tags = {tag for log in found.values() for tag in log.Tags()["scalars"]}
    (tag,) = [t for t in tags if t.startswith("kernel_distance/pixels-48.")]
    curve = one(found, tag, "scalars").Scalars(tag)
    assert [point.step for point in curve] == [4, 6]
    # The last point, made anew from what the run gives back.
    eye = extractor("pixels", replace(data, flip=False))
    images, _ = draw(Artist(run.ema_model, DDPMScheduler(), "abcdefghij"), range(7), 2)
    chance = torch.Generator().manual_seed(0)
    rows = torch.randperm(80, generator=chance)
    real = eye(data.batch(rows, chance)[0])
    mean, deviation = kernel_distance(eye(images), real)
    assert curve[-1].value == pytest.approx(mean, rel=1e-3)
    bars = one(found, tag, "scalars").Scalars(tag.replace("distance/", "distance_deviation/"))
    assert bars[-1].value == pytest.approx(deviation, rel=1e-3)


def test_a_judgement_without_a_tracker_or_with_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="judge_every is 5; it must be None where tracker is None"):
        settings(judge_every=5)
    judged = {"judge_every": 2, "tracker": "tensorboard", "output_dir": str(tmp_path / "run")}
    with pytest.raises(ValueError, match=r"sprites-16@\w+ takes \(N, 3, 16, 16\)"):
        short_run(**judged, judge_by="sprites-16")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("tracker", ["wandb", "trackio"])
def test_a_tracker_that_is_not_installed_is_named_before_training(tmp_path, tracker, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "course_utils.training.tracking.find_spec",
        lambda name: None if name == tracker else find(name),
    )
    with pytest.raises(ModuleNotFoundError, match=f"pip install {tracker}"):
        short_run(output_dir=str(tmp_path / "run"), tracker=tracker)
    assert not (tmp_path / "run").exists()


def test_a_log_that_cannot_be_written_stops_no_training(tmp_path, monkeypatch):
    from accelerate import Accelerator

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Accelerator, "log", full)
    with pytest.warns(RuntimeWarning, match="No space left") as told:
        run = short_run(output_dir=str(tmp_path), tracker="tensorboard", **QUICK)
    assert len([w for w in told if "No space" in str(w.message)]) == 1
    assert_same(run, short_run())


def test_a_grid_that_cannot_be_drawn_costs_one_warning_and_not_the_run(tmp_path, monkeypatch):
    """Whatever a network or a scheduler can think of, and at the first grid already."""

    def broken(*_, **__):
        raise TypeError("this network takes no labels")

    monkeypatch.setattr("course_utils.training.grids.sample", broken)
    with pytest.warns(RuntimeWarning, match="The sample grid failed") as told:
        run = short_run(output_dir=str(tmp_path), save_model_steps=2, **QUICK)
    (warned,) = [str(w.message) for w in told if "grid" in str(w.message)]
    assert "TypeError: this network takes no labels" in warned
    assert_same(run, short_run())
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    assert not list((tmp_path / "samples").glob("*"))


def test_a_tracker_that_breaks_on_the_way_costs_one_warning(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise AttributeError("no such run")

    monkeypatch.setattr("accelerate.Accelerator.log", broken)
    with pytest.warns(RuntimeWarning, match="The log failed") as told:
        run = short_run(output_dir=str(tmp_path), tracker="tensorboard", **QUICK)
    assert len([w for w in told if "no such run" in str(w.message)]) == 1
    assert_same(run, short_run())


def test_a_tracker_that_cannot_be_opened_is_told_before_training(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise SystemExit("api_key not configured")

    monkeypatch.setattr("accelerate.Accelerator.init_trackers", broken)
    with pytest.raises(TrackerError, match=r"'tensorboard'.*api_key not configured.*Nothing was"):
        short_run(output_dir=str(tmp_path), tracker="tensorboard", **QUICK)


def test_the_progress_bar_counts_updates_and_shows_the_loss(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    model, data = network(), short_run.__globals__["pictures"]()
    run = loop.train(settings(), model, DDPMScheduler(), data)
    shown = capsys.readouterr().err
    assert "training: 100%" in shown
    assert "6/6" in shown
    assert re.search(rf"loss={run.losses[-1]:.4f}", shown)
