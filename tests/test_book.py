"""The built pages: nothing missing, nothing fetched from outside, readable and reachable by all."""

import re
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import numpy as np
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from PIL import Image

from course_utils.data.load import HUB_NAMES
from tests.conftest import ROOT

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text())
PAGES = [TOC["root"], *(c["file"] for part in TOC["parts"] for c in part["chapters"])]
CHAPTERS = [page for page in PAGES if re.search(r"/\d\d_", page)]

# What the theme does itself and a book on it cannot mend. Each with its reason.
AXE_OF_THE_THEME = {
    "label-content-name-mismatch": "the search button's visible words are not in its label",
    "region": "the theme puts the logo and the search dialog outside of landmarks",
}
# The theme says this once to each new visitor, before it has stored a choice.
CONSOLE_OF_THE_THEME = ("Got invalid theme mode",)

pages = pytest.mark.parametrize("page", PAGES)


def soup(built_book, page):
    return BeautifulSoup((built_book / f"{page}.html").read_text(), "html.parser")


def html_files(built_book):
    return [file for file in built_book.rglob("*.html") if "_static" not in file.parts]


def test_every_link_and_picture_leads_somewhere(built_book):
    anchors = {}
    for file in html_files(built_book):
        tree = BeautifulSoup(file.read_text(), "html.parser")
        anchors[file] = {tag["id"] for tag in tree.find_all(id=True)}
    missing = []
    for file in anchors:
        tree = BeautifulSoup(file.read_text(), "html.parser")
        tags = tree.find_all(["a", "img", "script", "link", "source"])
        for tag in tags:
            address = tag.get("href") or tag.get("src") or ""
            if urlparse(address).scheme or not address:
                continue
            path, fragment = urldefrag(address)
            target = (file.parent / unquote(path.split("?")[0])).resolve() if path else file
            found = target in anchors if target.suffix == ".html" else target.exists()
            generated = target.name in ("search.html", "genindex.html", "py-modindex.html")
            if not found and not generated:
                missing.append(f"{file.name}: {address}")
            elif fragment and target in anchors and unquote(fragment) not in anchors[target]:
                missing.append(f"{file.name}: {address} (no such place)")
    assert not missing


@pages
def test_every_picture_has_words(built_book, page):
    article = soup(built_book, page).find("article")
    for image in article.find_all("img"):
        alt = image.get("alt", "")
        assert len(alt.split()) >= 2, image
        assert not re.search(r"\.(png|svg)|/", alt), image


@pages
def test_no_page_loads_anything_from_outside(built_book, page):
    for tag in soup(built_book, page).find_all(["img", "script", "link", "iframe"]):
        address = tag.get("src") or (tag.get("href") if tag.name == "link" else "") or ""
        if tag.name == "link" and tag.get("rel") == ["canonical"]:
            continue
        assert not address.startswith(("http:", "https:", "//")), tag


def test_notebooks_show_their_outputs(built_book):
    tree = soup(built_book, CHAPTERS[0])
    assert len(tree.select(".cell_output img")) >= 10
    assert "Traceback" not in tree.get_text()
    assert "400 to learn from, 600 held out" in tree.get_text()
    assert HUB_NAMES["digits"] not in tree.find("article").get_text()


def open_page(browser, site, page, width=1280, scheme="light", height=900):
    """A page in a fresh browser profile, with what it complained of and asked for."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    tab = context.new_page()
    trouble = []
    tab.on("console", lambda m: trouble.append(f"console: {m.text}") if m.type == "error" else None)
    tab.on("pageerror", lambda error: trouble.append(f"error: {error}"))
    tab.on(
        "request",
        lambda r: (
            None if r.url.startswith((site, "data:", "blob:")) else trouble.append(f"asks {r.url}")
        ),
    )
    tab.on("requestfailed", lambda r: trouble.append(f"failed {r.url}"))
    tab.on("response", lambda r: trouble.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    tab.goto(urljoin(site, f"/{page}.html"))
    tab.wait_for_load_state("networkidle")
    return tab, trouble


def ours(trouble):
    return [t for t in trouble if not any(known in t for known in CONSOLE_OF_THE_THEME)]


@pages
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_page_opens_without_complaint_and_without_the_network(browser, site, page, width, scheme):
    tab, trouble = open_page(browser, site, page, width, scheme)
    assert ours(trouble) == []
    assert tab.evaluate("document.documentElement.dataset.theme") == scheme
    overflow = tab.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0, f"{overflow} pixels wider than the screen"
    tab.context.close()


# Between the schemes only colours differ, so the second time only they are looked at.
IN_LIGHT, IN_DARK = {}, {"runOnly": ["color-contrast", "link-in-text-block"]}


@pages
@pytest.mark.parametrize(("scheme", "rules"), [("light", IN_LIGHT), ("dark", IN_DARK)])
def test_axe_finds_no_violation_of_ours(browser, site, page, scheme, rules):
    tab, _ = open_page(browser, site, page, scheme=scheme)
    answer = Axe().run(tab, options=rules).response
    found = {
        v["id"]: [node["html"][:200] for node in v["nodes"]]
        for v in answer["violations"]
        if v["id"] not in AXE_OF_THE_THEME
    }
    assert found == {}
    assert answer["passes"]  # it has looked at something
    tab.context.close()


@pytest.mark.parametrize("page", ["book/notation", CHAPTERS[0]])
def test_formulas_are_typeset(browser, site, page):
    tab, _ = open_page(browser, site, page)
    tab.wait_for_selector("mjx-container")
    assert tab.locator("mjx-container").count() >= 5
    assert not re.search(r"\\\(|\\bar", tab.locator("article").inner_text())
    assert tab.locator("mjx-merror").count() == 0
    tab.context.close()


def test_the_film_plays_steps_and_slides_by_mouse_and_keyboard(browser, site):
    tab, trouble = open_page(browser, site, CHAPTERS[0])
    player = tab.locator(".course-player")
    image, slider = player.locator("img"), player.locator("input")
    last = int(slider.get_attribute("max"))
    first = image.get_attribute("src")
    assert player.locator("output").inner_text().startswith("before the step at t = 999")

    player.get_by_label("One step on").click()
    assert slider.input_value() == "1"
    assert image.get_attribute("src") != first
    player.get_by_label("One step back").click()
    assert image.get_attribute("src") == first

    slider.focus()
    tab.keyboard.press("End")
    assert slider.input_value() == str(last)
    assert player.locator("output").inner_text() == "finished"
    assert slider.get_attribute("aria-valuetext") == "finished"

    play = player.locator("[data-do=play]")
    play.focus()
    tab.keyboard.press("Enter")  # from the end it starts again
    assert play.get_attribute("aria-label") == "Pause"
    tab.wait_for_function(
        "n => document.querySelector('.course-player input').value == n", arg=str(last)
    )
    assert play.get_attribute("aria-label") == "Play"
    assert ours(trouble) == []
    tab.context.close()


def test_solutions_are_folded_and_open_on_a_click(browser, site):
    tab, _ = open_page(browser, site, CHAPTERS[0])
    solution = tab.locator("details", has_text="Solution 1").first
    assert solution.locator("summary").inner_text().strip() == "Solution 1"
    assert solution.get_attribute("open") is None
    solution.locator("summary").first.click()
    assert solution.get_attribute("open") is not None
    tab.context.close()


def test_search_finds_a_word_of_chapter_1(browser, site):
    tab, trouble = open_page(browser, site, "search")
    tab.goto(f"{site}/search.html?q=contracting")
    tab.wait_for_selector("#search-results a")
    links = tab.locator("#search-results a").all()
    assert any("01_unet2dmodel" in (link.get_attribute("href") or "") for link in links)
    assert ours(trouble) == []
    tab.context.close()


def test_the_page_is_reached_by_keyboard_from_the_skip_link(browser, site):
    tab, _ = open_page(browser, site, "book/intro")
    tab.keyboard.press("Tab")
    assert "Skip to main content" in tab.evaluate("document.activeElement.innerText")
    tab.keyboard.press("Enter")
    assert tab.evaluate("location.hash") == "#main-content"
    tab.context.close()


def test_the_theme_can_be_switched_and_the_figures_keep_their_card(browser, site):
    tab, _ = open_page(browser, site, CHAPTERS[0], scheme="light")
    for _ in range(3):
        if tab.evaluate("document.documentElement.dataset.theme") == "dark":
            break
        tab.locator(".theme-switch-button:visible").first.click()
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    tab.context.close()


def test_the_pictures_of_the_introduction_are_there():
    """They are made by the chapters and committed; an empty one would still be a valid file."""
    for file in (ROOT / "book" / "images").glob("*.png"):
        assert np.asarray(Image.open(file).convert("L")).std() > 20, file.name
