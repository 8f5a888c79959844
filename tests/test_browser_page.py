"""The playground of the book, and the page that tells what happens in it."""

import re
from urllib.parse import parse_qsl

import pytest

from course_utils.share.runtime import SCRIPTS
from course_utils.share.web import MOST_PARAMETERS
from tests.conftest import ROOT
from tests.share.page import draw
from tests.share.test_playground import MOST_APART
from tests.test_book import open_page, ours

TEXT = (ROOT / "book/browser.md").read_text()
WITH_PANELS = ("01_unet2dmodel", "03_sprites", "05_flowers", "07_guidance", "08_few_steps")


def test_the_two_lines_side_by_side_are_those_that_run():
    python = (ROOT / "course_utils/sampling/ddim.py").read_text()
    script = (SCRIPTS / "sampling.js").read_text()
    blocks = re.findall(r"```(python|javascript)\n(.*?)```", TEXT, re.S)
    shown = {kind: text.splitlines() for kind, text in blocks if "direction" in text}
    assert len(shown["python"]) == len(shown["javascript"]) == 1
    assert all(line in python for line in shown["python"])
    assert all(line in script for line in shown["javascript"])


def test_what_the_page_says_in_words_is_so():
    assert 250 <= len((SCRIPTS / "sampling.js").read_text().splitlines()) <= 350
    assert "a script of three hundred lines" in " ".join(TEXT.split())
    assert f"up to {MOST_PARAMETERS // 10**6} million numbers" in " ".join(TEXT.split())
    assert MOST_APART == 2
    assert "off by\nmore than two" in TEXT


def test_the_books_playground_draws_and_asks_nobody_else(browser, site):
    tab, trouble = open_page(browser, site, "book/playground", width=390, scheme="dark")
    assert not tab.get_by_text("Here the networks would draw").is_visible()
    tab.get_by_label("Steps", exact=True).fill("2")
    tab.get_by_label("Seed", exact=True).fill("4")
    tab.get_by_role("button", name="Draw", exact=True).click()
    done = "document.querySelector('.course-playground').dataset.state === 'done'"
    tab.wait_for_function(done, timeout=240_000)
    assert "seeds 4 to 19" in tab.get_by_role("status").first.inner_text()
    assert tab.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert ours(trouble) == []
    tab.context.close()


def panels_of(chapter):
    """What each panel of a chapter begins with and offers, as its notebook asks for it."""
    text = (ROOT / f"book/{chapter}.ipynb").read_text()
    asked = re.findall(r"<!-- panel: (\S+) with ([\w ]+) -->", text)
    return [(dict(parse_qsl(choices)), fields.split()) for choices, fields in asked]


@pytest.mark.parametrize("chapter", WITH_PANELS)
def test_a_chapters_panels_offer_what_they_are_about_and_load_nothing_unasked(
    browser, site, chapter
):
    wanted = panels_of(chapter)
    assert wanted
    tab = browser.new_page()
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{site}/book/{chapter}.html")
    tab.wait_for_load_state("networkidle")
    panels = tab.locator(".course-playground")
    assert panels.count() == len(wanted)
    assert not [url for url in asked if "/playground/" in url and url.endswith(".js")]
    panels.first.scroll_into_view_if_needed()
    panels.first.get_by_role("button", name="Draw", exact=True).wait_for()
    for panel, (choices, fields) in zip(panels.all(), wanted, strict=True):
        shown = panel.locator(".fields").locator("select:visible, input:visible").all()
        assert sorted(part.get_attribute("name") for part in shown) == sorted(fields)
        for name in set(choices) & set(fields):
            assert panel.locator(f"[name={name}]").input_value() == choices[name]
        assert panel.get_by_role("button", name="Draw", exact=True).is_enabled()
        assert not panel.get_by_text("Begin with").is_visible()
        assert panel.locator(".easel").is_visible() == (choices.get("from") == "scribble")
    assert not [url for url in asked if "runtime/" in url or "/networks/" in url]
    tab.close()


def test_a_panel_draws_and_leads_to_the_playground_where_the_same_comes_out(browser, site):
    tab, trouble = open_page(browser, site, "book/08_few_steps", width=390)
    panel = tab.locator(".course-playground")
    panel.scroll_into_view_if_needed()
    panel.get_by_label("Seed", exact=True).fill("3")
    panel.get_by_label("Steps", exact=True).fill("2")
    panel.get_by_label("Steps", exact=True).blur()
    panel.get_by_label("Solver", exact=True).select_option("DPM-Solver++ 2M")
    found = draw(tab)
    assert "#" not in tab.url  # the address stays that of the page
    panel.get_by_role("link", name="All choices").click()
    tab.wait_for_url("**/playground.html#*")
    tab.wait_for_load_state("networkidle")
    assert tab.get_by_label("Steps", exact=True).input_value() == "2"
    assert (draw(tab) == found).all()
    assert ours(trouble) == []
    tab.context.close()


@pytest.mark.parametrize("page", ["playground", WITH_PANELS[0]])
def test_without_scripts_the_playground_is_a_sentence_and_pictures(browser, site, page):
    tab = browser.new_context(java_script_enabled=False).new_page()
    tab.goto(f"{site}/book/{page}.html")
    place = tab.locator(".course-playground")
    assert "that comes from a server" in " ".join(place.inner_text().split())
    assert not place.locator("button").count()
    if page == "playground":
        assert place.locator("img").is_visible()
    tab.context.close()
