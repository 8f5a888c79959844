"""What surrounds the text of a page: its weight, its buttons, what is folded, the search."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pydata_sphinx_theme
import pytest
import sphinx_book_theme
import yaml
from bs4 import BeautifulSoup

from tests.conftest import ROOT, extension, serving
from tests.test_book import CHAPTERS, CONFIG, TOC, html_files, open_page, ours, pages, soup
from tests.test_notebooks import cells, tags, text

weight = extension("course_weight")
LIMIT = 1_500_000
IN_PAGE = re.compile(r"data:image/[^\"']*")  # the frames of a film


# ---- weight


def without_pictures(browser, site, page):
    """The bytes that a first visit sends over the wire, uncompressed, apart from pictures."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    wire, kinds, sizes = context.new_cdp_session(tab), {}, {}
    wire.on("Network.responseReceived", lambda e: kinds.update({e["requestId"]: e}))
    wire.on(
        "Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]})
    )
    wire.send("Network.enable")
    answer = tab.goto(f"{site}/{page}.html")
    tab.wait_for_load_state("networkidle")
    inside = sum(map(len, IN_PAGE.findall(answer.text())))
    context.close()
    counted = [
        size
        for request, size in sizes.items()
        if kinds[request]["type"] != "Image"
        and not kinds[request]["response"]["url"].startswith("data:")
    ]
    assert len(counted) > 10, "the listener saw nothing"
    return sum(counted) - inside


@pages
def test_a_page_weighs_little_apart_from_its_pictures(browser, site, page):
    assert without_pictures(browser, site, page) <= LIMIT


def test_code_marks_only_words_that_look_different():
    block = 'html[data-theme="{}"] .highlight {}{{ {} }}\n'
    painted = [
        ("light", "", "background: #fff; color: #000"),
        ("dark", "", "background: #000; color: #eee"),
        ("light", ".n ", "color: #000"),
        ("dark", ".n ", "color: #eee"),
        ("light", ".o ", "color: #000"),
        ("dark", ".o ", "color: #f00"),  # looks different in the dark
        ("light", ".k ", "color: #000; font-weight: bold"),
    ]
    kinds = weight.plain_kinds("".join(block.format(*rule) for rule in painted))
    assert kinds == {"n"}
    code = '<div class="highlight"><pre>{}<span class="o">+</span></pre></div>'
    marked = '<span class="n">x</span>'
    page = f"<p>{marked}</p>" + code.format(marked)
    assert weight.without_plain_spans(page, kinds) == f"<p>{marked}</p>" + code.format("x")


def test_rules_for_a_part_of_a_class_go_with_the_class():
    style = ".a[class*=-C1] { color: red } .a[class*=-C2] { color: blue }"
    assert weight.slim_style(style, {"a", "a-C2"}).split() == style.split("} ")[1].split()


def test_a_page_without_formulas_loads_no_mathjax(built_book):
    script = "mathjax/startup.js"
    assert script not in (built_book / f"{TOC['root']}.html").read_text()
    assert script in (built_book / f"{CHAPTERS[0]}.html").read_text()


def test_only_the_search_page_loads_the_index(built_book):
    for file in html_files(built_book):
        assert ("searchindex.js" in file.read_text()) == (file.name == "search.html"), file.name


def theme_files():
    """Rules and fonts as they were installed, by name."""
    found = {}
    for package in (pydata_sphinx_theme, sphinx_book_theme):
        folder = Path(package.__file__).parent / "theme"
        found |= {f.name: f for kind in ("css", "woff2", "ttf") for f in folder.rglob(f"*.{kind}")}
    return found


def at_rest(tab):
    """A picture of a page once fonts and formulas are there and nothing moves any more."""
    there = "Promise.all([document.fonts.ready, window.MathJax?.startup?.promise])"
    tab.evaluate(f"{there}.then(() => null)")
    before = None
    for _ in range(20):
        now = tab.screenshot()
        if now == before:
            return now
        before = now
        tab.wait_for_timeout(200)
    raise AssertionError("the page does not come to rest")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("page", [TOC["root"], CHAPTERS[0]])
def test_the_slim_rules_and_fonts_draw_the_same_page(browser, site, page, width):
    """To the pixel: what was left out is not missed."""
    whole, seen = theme_files(), []

    def instead(route):
        name = re.sub(r"\?.*", "", route.request.url).split("/")[-1]
        if name in whole:
            seen.append(name)
            route.fulfill(path=whole[name])
        else:
            route.continue_()

    pictures = []
    for original in (False, True):
        tab = browser.new_context(
            viewport={"width": width, "height": 2000}, reduced_motion="reduce"
        ).new_page()
        if original:
            tab.route("**/*", instead)
        tab.goto(f"{site}/{page}.html")
        tab.wait_for_load_state("networkidle")
        pictures.append(at_rest(tab))
        tab.context.close()
    assert "pydata-sphinx-theme.css" in seen
    assert "fa-solid-900.woff2" in seen
    assert pictures[0] == pictures[1]


def test_rules_of_parts_that_no_page_has_are_left_out_and_no_others():
    style = "/*! MIT */a{b:c}.on,.off>p{d:e}.off{f:g}@media print{.off.on{h:i}.on{j:k}}"
    slim = weight.slim_style(style, {"on"})
    assert slim == "/*! MIT */\na{b:c}.on{d:e}@media print{.on{j:k}}"
    kept = ".off:not(.on){l:m}@keyframes x{0%{n:o}}"
    assert weight.slim_style(kept, set()).strip() == kept


# ---- buttons


def addresses(built):
    """All links and pictures of all pages that lead out of the book."""
    for file in html_files(built):
        for tag in BeautifulSoup(file.read_text(), "html.parser").find_all(["a", "img", "form"]):
            yield from (v for v in map(tag.get, ("href", "src", "action")) if v and "//" in v)


def test_without_an_address_no_page_leads_to_it(built_book):
    if "--no-address-yet--" not in CONFIG["repository"]["url"]:
        pytest.skip("the course has an address")
    found = set(addresses(built_book))
    assert any("arxiv.org" in address for address in found)
    dead = ("no-address-yet", "colab.research", "/issues/new", "/edit/")
    assert [a for a in found if any(part in a for part in dead)] == []
    assert "rocket" not in soup(built_book, TOC["root"]).find("article").get_text()


@pytest.fixture(scope="session")
def addressed_book(tmp_path_factory):
    """Two pages of the book as they are once somebody has written an address, nothing run."""
    folder = tmp_path_factory.mktemp("addressed")
    config = (ROOT / "_config.yml").read_text().replace(": book/", f": {ROOT}/book/")
    config = yaml.safe_load(config.replace("[book/", f"[{ROOT}/book/"))
    config["repository"]["url"] = "https://github.com/ada/course"
    config["execute"]["execute_notebooks"] = "off"
    config["sphinx"]["config"]["suppress_warnings"] = ["ref", "myst", "toc"]
    toc = {"format": "jb-book", "root": TOC["root"], "chapters": [{"file": CHAPTERS[0]}]}
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    (folder / "toc.yml").write_text(yaml.safe_dump(toc))
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ROOT, "--path-output"]
    command += [folder, "--config", folder / "config.yml", "--toc", folder / "toc.yml"]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder / "_build" / "html"


@pytest.mark.book
def test_with_an_address_the_buttons_and_their_words_appear(addressed_book):
    chapter, first = soup(addressed_book, CHAPTERS[0]), soup(addressed_book, TOC["root"])
    links = {a["href"] for a in chapter.find_all("a", href=True)}
    colab = "https://colab.research.google.com/github/ada/course/blob/main"
    assert f"{colab}/{CHAPTERS[0]}.ipynb" in links
    assert "https://github.com/ada/course" in links
    assert any(link.startswith("https://github.com/ada/course/issues/new") for link in links)
    assert "rocket" in first.find("article").get_text()
    assert chapter.find("meta", property="og:image")


# ---- folded cells


def test_folded_cells_say_what_they_hold(built_book):
    for page in CHAPTERS:
        code = cells(ROOT / f"{page}.ipynb", "code")
        found = soup(built_book, page).select("details.hide > summary")
        assert all(not summary.get("aria-label") for summary in found), "the words are the label"
        shown = [summary.find(class_="collapsed").get_text() for summary in found]
        wanted = []
        for cell in code:
            if "solution" in tags(cell):
                wanted.append(text(cell).splitlines()[0].removeprefix("# @title "))
            elif {"hide-input", "hide-cell"} & set(tags(cell)):
                wanted.append("Show the code")
        assert shown == wanted
        assert any(words.startswith("Solution") for words in shown)


# ---- search


def test_results_quote_the_page_and_not_its_buttons(browser, addressed_book):
    with serving(addressed_book) as address:
        tab, trouble = open_page(browser, address, "search")
        tab.goto(f"{address}/search.html?q=timestep")
        tab.wait_for_selector("#search-results p.context")
        tab.wait_for_load_state("networkidle")
        quotes = tab.locator("#search-results p.context").all_inner_texts()
        assert quotes
        for words in quotes:
            assert not re.search(r"Colab|Repository|Open issue|\.ipynb|\.pdf", words)
            assert not re.search(r"\\[()\[\]]", words)
        assert ours(trouble) == []
        tab.context.close()


# ---- a phone


@pytest.mark.parametrize("page", CHAPTERS)
def test_wide_formulas_and_tables_scroll_inside_themselves(browser, site, page):
    tab, _ = open_page(browser, site, page, width=390)
    cut = tab.evaluate(
        """() => [...document.querySelectorAll(
                'article mjx-container[display], article table.table')]
            .filter(one => one.scrollWidth > one.clientWidth + 1)
            .filter(one => !/auto|scroll/.test(getComputedStyle(one).overflowX))
            .map(one => one.textContent.slice(0, 60))"""
    )
    assert cut == []
    tab.context.close()


@pytest.mark.parametrize("page", CHAPTERS)
def test_lines_of_code_fit_a_phone(browser, site, page):
    tab, _ = open_page(browser, site, page, width=390)
    for fold in tab.locator("article details").all():
        fold.evaluate("one => { one.open = true }")
    widths = tab.evaluate(
        """() => [...document.querySelectorAll('article div.highlight pre')]
            .map(one => [one.scrollWidth, one.clientWidth])"""
    )
    assert len(widths) > 20
    assert [pair for pair in widths if pair[0] > pair[1] + 1] == []
    tab.context.close()


def test_the_buttons_of_a_film_are_large_enough_for_a_thumb(browser, site):
    tab, _ = open_page(browser, site, CHAPTERS[0], width=390)
    player = tab.locator(".course-player")
    for part in [*player.locator("button").all(), player.locator("input")]:
        box = part.bounding_box()
        assert box["height"] >= 44
        assert box["width"] >= 44
    assert player.bounding_box()["width"] <= 390
    tab.context.close()
