"""The graphics processor draws where a reader wants it to, and only if it draws the same."""

import pytest
from diffusers import DDPMScheduler

from course_utils.sampling.opening import open_folder
from course_utils.share import export_page
from course_utils.share.runtime import sizes
from tests.conftest import serving
from tests.share.page import apart, by_python, draw, opened
from tests.share.small import saved, small_network

MOST_APART = 2  # of 255
CHOICE = "on the graphics processor"
LABELS = ("fern", "moss")
HOW = {"seed": 5, "steps": 3}


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network") / "garden"
    levels = DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    return saved(folder, model=small_network(num_class_embeds=3), noise_scheduler=levels)


@pytest.fixture(scope="module")
def page(network, tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    export_page(network, out, labels=LABELS)
    with serving(out) as address:
        yield address


@pytest.fixture(scope="module")
def wanted(network):
    known = open_folder(network)
    labels = [k % 2 for k in range(16)]
    return by_python(known.model, known.noise_scheduler, labels=labels, **HOW)


def said(tab):
    return tab.get_by_role("status").first.inner_text()


def test_it_draws_what_python_draws(graphics_browser, page, wanted):
    tab, asked, trouble = opened(graphics_browser, page, **HOW)
    tab.get_by_label(CHOICE).check()
    size = f"and {sizes()['webgpu'] / 1e6:.1f} MB of runtime"
    assert size in tab.locator(".cost").inner_text()
    assert apart(draw(tab), wanted) <= MOST_APART
    assert wanted.std() > 20  # there is something to see
    assert said(tab).endswith("milliseconds each, on the graphics processor.")
    runtimes = {url.rsplit("/", 1)[1] for url in asked if "/runtime/" in url}
    assert runtimes == {"ort.webgpu.bundle.min.mjs", "ort.webgpu.gz"}
    assert trouble == []
    tab.context.close()


def test_the_processor_draws_where_nothing_else_is_chosen(graphics_browser, page, wanted):
    tab, asked, _ = opened(graphics_browser, page, **HOW)
    assert not tab.get_by_label(CHOICE).is_checked()
    assert apart(draw(tab), wanted) <= MOST_APART
    assert said(tab).endswith("milliseconds each.")
    assert not [url for url in asked if "webgpu" in url]
    tab.get_by_label(CHOICE).check()  # the other way can still be gone
    assert apart(draw(tab), wanted) <= MOST_APART
    assert said(tab).endswith(f"{CHOICE}.")
    tab.context.close()


@pytest.mark.parametrize(
    ("line", "instead", "why"),
    [
        (
            "const off =",
            "there[0] += 0.003; const off =",
            "the graphics processor is off by ",
        ),
        ("const COUNT", "Object.defineProperty(navigator, 'gpu', {}); const COUNT", "fails: "),
    ],
)
def test_where_it_answers_wrongly_or_fails_the_processor_draws_and_this_is_told(
    graphics_browser, page, wanted, line, instead, why
):
    tab, _, _ = opened(graphics_browser, page, **HOW)

    def changed(route):
        answer = route.fetch()
        assert answer.text().count(line) == 1
        route.fulfill(response=answer, body=answer.text().replace(line, instead))

    tab.route("**/worker.js", changed)
    tab.get_by_label(CHOICE).check()
    assert apart(draw(tab), wanted) <= MOST_APART
    assert "milliseconds each, on the processor: " in said(tab)
    assert why in said(tab)
    tab.context.close()


def test_without_one_there_is_no_such_choice(browser, page):
    tab, _, _ = opened(browser, page, **HOW)
    assert tab.get_by_role("button", name="Draw", exact=True).is_visible()
    assert not tab.get_by_label(CHOICE).is_visible()
    tab.context.close()
