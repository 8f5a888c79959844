"""A page that was exported draws what Python draws, and asks for nothing until Draw is pressed."""

import json
import shlex
import shutil

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from diffusers import DDPMPipeline, DDPMScheduler
from PIL import Image

from course_utils.__main__ import main
from course_utils.data import load_images, prepare
from course_utils.models import UNet
from course_utils.sampling import FlowMatchEulerScheduler, initial_noise
from course_utils.sampling.opening import open_folder
from course_utils.share import export_page
from course_utils.share.web import MOST_PARAMETERS, PAGE_SCRIPTS, PARTS, drawable
from tests.conftest import serving
from tests.share.page import (
    apart,
    by_python,
    draw,
    noise_of_page,
    opened,
    pictures,
)
from tests.share.small import saved, small_network
from tests.trainer import network, short_run

MOST_APART = 2  # of 255


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network that was trained a little, in the folder that the trainer's command writes."""
    folder = tmp_path_factory.mktemp("run") / "my-digits" / "model"
    digits = prepare(load_images("digits", "bundled"), 8, 1)
    levels = DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    run = {"num_steps": 60, "learning_rate": 3e-3, "label_dropout": 0.1}
    done = short_run(data=digits, model=network(num_class_embeds=11), scheduler=levels, **run)
    DDPMPipeline(done.ema_model, levels).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def page(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    labels = [*map(str, range(10))]
    export_page(trained, out, labels=labels)
    with serving(out) as address:
        yield address


def test_a_network_trained_here_draws_in_the_page_what_it_draws_in_python(browser, page, trained):
    tab, _, trouble = opened(browser, page, seed=5, steps=6, kind="3")
    found = draw(tab)
    known = open_folder(trained)
    wanted = by_python(known.model, known.noise_scheduler, labels=[3] * 16, seed=5, steps=6)
    assert apart(found, wanted) <= MOST_APART
    assert wanted.std() > 20  # there is something to see
    assert trouble == []
    tab.context.close()


@pytest.mark.parametrize("solver", ["DDIM", "DPM-Solver++ 2M", "DDPM"])
def test_every_solver_guided_and_not_draws_what_python_draws(browser, page, trained, solver):
    known = open_folder(trained)
    labels = [k % 10 for k in range(16)]
    for guidance in (1.0, 2.5):
        how = {"seed": 40, "steps": 5, "solver": solver, "guidance": guidance}
        tab, _, trouble = opened(browser, page, **how)
        found = draw(tab)
        wanted = by_python(known.model, known.noise_scheduler, labels=labels, none=10, **how)
        assert apart(found, wanted) <= MOST_APART
        assert trouble == []
        tab.context.close()


@pytest.mark.parametrize("size", [16, 64, 100, 768])
def test_the_noise_of_a_seed_is_pytorchs(browser, page, size):
    """Also what the same generator gives after it, of which the steps of DDPM are made."""
    tab, _, _ = opened(browser, page)
    seeds = [0, 13, 2**32 - 1]
    first, more = noise_of_page(tab, size, seeds)
    noise, generators = initial_noise((size,), seeds)
    torch.testing.assert_close(first.view(3, size), noise, atol=4e-6, rtol=0)
    for found, generator in zip(more, generators, strict=True):
        for row in found:
            torch.testing.assert_close(
                row, torch.randn(size, generator=generator), atol=4e-6, rtol=0
            )
    tab.context.close()


def test_nothing_is_loaded_until_draw_is_pressed(browser, page):
    tab, asked, _ = opened(browser, page)
    before = {url.removeprefix(f"{page}/").split("#")[0] for url in asked}
    scripts = {*PAGE_SCRIPTS, "networks.js"} - {"worker.js"}
    wanted = {"index.html", "playground/playground.css", *(f"playground/{s}" for s in scripts)}
    assert before == wanted
    told = tab.locator(".cost").inner_text()
    draw(tab)
    after = [url for url in asked if url not in before]
    assert all(url.startswith(page) for url in after)
    network = next(url for url in after if url.endswith("model.onnx"))
    size = len(tab.request.get(network).body()) / 1e6
    assert told.startswith(f"Draw loads {size:.1f} MB of network and 3.7 MB of runtime")
    count = len(asked)
    draw(tab)
    assert len(asked) == count  # and once is enough
    tab.context.close()


def test_the_address_says_all_that_was_chosen(browser, page):
    tab, _, _ = opened(browser, page)
    tab.get_by_label("Seed", exact=True).fill("77")
    tab.get_by_label("Steps", exact=True).fill("3")
    tab.get_by_label("Solver").select_option("DDPM")
    tab.get_by_label("Draw", exact=True).select_option("4")
    tab.get_by_label("Guidance", exact=True).fill("2")
    tab.get_by_label("Guidance", exact=True).press("Tab")
    first = draw(tab)
    other, _, _ = opened(browser, page)
    other.goto(tab.url)
    other.reload()
    assert (draw(other) == first).all()
    tab.context.close()
    other.context.close()


def test_what_is_drawn_is_announced_and_can_be_stopped_and_downloaded(browser, page):
    tab, _, _ = opened(browser, page, steps=1000, kind="7")
    tab.get_by_role("button", name="Draw", exact=True).click()
    tab.wait_for_function(
        "document.querySelector('.buttons .count').textContent.startsWith('step')"
    )
    tab.get_by_role("button", name="Stop").click()
    tab.wait_for_function(
        "document.querySelector('.course-playground').dataset.state === 'stopped'"
    )
    status = tab.get_by_role("status").first
    assert status.inner_text().startswith("Stopped after step ")
    tab.get_by_label("Steps", exact=True).fill("2")
    draw(tab)
    assert status.inner_text().startswith("Drawn: sixteen pictures by my-digits, 7, seeds 0 to 15.")
    assert tab.get_by_role("radio", name="Picture 3: 7, seed 2").count() == 1
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download this picture").click()
    assert download.value.suggested_filename == "my-digits-picture-1-7-seed-0.png"
    with Image.open(download.value.path()) as picture:
        assert picture.size == (512, 512)
        small = np.asarray(picture.convert("RGB").reduce(64)).transpose(2, 0, 1)
    assert (small == pictures(tab)[0]).all()
    tab.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_before_and_after(browser, page, scheme):
    tab, _, _ = opened(browser, page, steps=2, scheme=scheme)
    for beginning in ("noise", "the way between two seeds", "a scribble of yours"):
        tab.get_by_label(beginning).check()
        assert Axe().run(tab).response["violations"] == []
    draw(tab)
    answer = Axe().run(tab).response
    assert answer["violations"] == []
    assert answer["passes"]
    tab.context.close()


def test_on_a_phone_nothing_is_wider_than_the_screen(browser, page):
    tab, _, _ = opened(browser, page, width=390, steps=2, **{"from": "scribble"})
    draw(tab)
    assert tab.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    tab.context.close()


def test_where_it_cannot_run_there_is_a_sentence(browser, page, trained, tmp_path):
    """Without scripts, without WebAssembly, and in a page that was opened as a file."""
    export_page(trained, tmp_path / "as-a-file")
    sentence = "Here the network would draw. It needs scripts, WebAssembly, and a page"
    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(f"{page}/index.html")
    no_wasm = browser.new_context().new_page()
    no_wasm.add_init_script("delete window.WebAssembly")
    no_wasm.goto(f"{page}/index.html")
    file = browser.new_context().new_page()
    file.goto((tmp_path / "as-a-file/index.html").as_uri())
    for tab in (plain, no_wasm, file):
        tab.wait_for_load_state("networkidle")
        assert sentence in tab.locator(".course-playground").inner_text()
        assert tab.get_by_role("button").count() == 0
        tab.context.close()


def test_reduced_motion_shows_the_end_and_not_the_way(browser, page):
    tab, _, _ = opened(browser, page, motion="reduce", steps=1000)
    assert not tab.get_by_label("show every step").is_checked()
    tab.get_by_role("button", name="Draw", exact=True).click()
    tab.wait_for_function(
        "document.querySelector('.buttons .count').textContent.startsWith('step')"
    )
    assert not tab.locator(".hand").is_visible()
    tab.get_by_role("button", name="Stop").click()
    tab.context.close()


def test_flow_matching_and_our_own_network_draw_too(browser, tmp_path):
    torch.manual_seed(0)
    model = UNet(hidden_dims=(8, 16), image_size=16, num_class_embeds=None)
    saved(tmp_path / "ours", model=model, noise_scheduler=FlowMatchEulerScheduler(1000))
    export_page(tmp_path / "ours", tmp_path / "page")
    with serving(tmp_path / "page") as address:
        tab, _, trouble = opened(browser, address, steps=4, seed=3)
        found = draw(tab)
        known = open_folder(tmp_path / "ours")
        how = {"labels": None, "seed": 3, "steps": 4}
        assert apart(found, by_python(known.model, known.noise_scheduler, **how)) <= MOST_APART
        assert tab.get_by_role("heading", name="How to use it").count() == 1  # its card
        assert tab.get_by_alt_text("Pictures that this network has drawn").count() == 0  # replaced
        assert trouble == []
        tab.context.close()


def test_the_command_writes_file_and_page_and_says_so(folder, tmp_path, capsys):
    assert main(["export", str(folder), str(tmp_path / "file")]) == 0
    assert (tmp_path / "file/model.onnx").is_file()
    assert " MB; off by " in capsys.readouterr().out
    page = tmp_path / "my page"
    assert main(["export", str(folder), "--web", str(page)]) == 0
    how_to_see_it = shlex.join(["python", "-m", "http.server", "--directory", str(page)])
    assert f"See it: {how_to_see_it}\n" in capsys.readouterr().out
    parts = {path.name for path in (page / PARTS).iterdir()}
    assert {*PAGE_SCRIPTS, "networks.js", "networks", "runtime", "playground.css"} == parts
    assert main(["export", str(folder), "--web", str(page)]) == 0  # again


def test_a_folder_with_something_else_in_it_is_left_alone(folder, tmp_path, capsys):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("mine")
    assert main(["export", str(folder), "--web", str(tmp_path / "site")]) == 1
    assert "holds index.html, and is no page of this kind" in capsys.readouterr().err
    assert (tmp_path / "site/index.html").read_text() == "mine"
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["index.html"]


def test_the_page_of_a_run_has_its_name_and_samples_and_a_file_in_the_way_is_told(tmp_path):
    saved(tmp_path / "run" / "model")
    export_page(tmp_path / "run", tmp_path / "page", half=False)
    assert "<h1>run</h1>" in (tmp_path / "page/index.html").read_text(encoding="utf-8")
    assert (tmp_path / "page/samples.png").is_file()
    with pytest.raises(FileExistsError, match=r"index\.html is a file; name a folder"):
        export_page(tmp_path / "run", tmp_path / "page/index.html/below")


def test_what_a_page_cannot_draw_with_is_told(folder, tmp_path):
    with pytest.raises(ValueError, match="labels has 2 names, and the network has no classes"):
        drawable(folder, labels=["a", "b"])
    scheduler = folder / "scheduler/scheduler_config.json"
    told = json.loads(scheduler.read_text())
    scheduler.write_text(json.dumps(told | {"thresholding": True}))
    with pytest.raises(ValueError, match="samples with thresholding"):
        drawable(folder)
    shutil.rmtree(folder / "scheduler")
    with pytest.raises(ValueError, match=r"no scheduler_config\.json"):
        drawable(folder)
    four = small_network(in_channels=4, out_channels=4)
    DDPMPipeline(four, DDPMScheduler()).save_pretrained(tmp_path / "four")
    with pytest.raises(ValueError, match="takes 4 channels and gives 4"):
        drawable(tmp_path / "four")


def test_networks_that_nobody_would_wait_for_are_refused(folder, monkeypatch):
    monkeypatch.setattr("course_utils.share.web.MOST_PARAMETERS", 1000)
    assert MOST_PARAMETERS > 20_000_000
    with pytest.raises(ValueError, match=r"parameters; a page draws with up to 1,000"):
        drawable(folder)
