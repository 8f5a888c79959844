"""The playground of the book, and the page that tells what happens in it."""

import re

from course_utils.share.runtime import SCRIPTS
from course_utils.share.web import MOST_PARAMETERS
from tests.conftest import ROOT
from tests.share.test_playground import MOST_APART
from tests.test_book import open_page, ours

TEXT = (ROOT / "book/browser.md").read_text()


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


def test_without_scripts_the_playground_is_a_sentence_and_pictures(browser, site):
    tab = browser.new_context(java_script_enabled=False).new_page()
    tab.goto(f"{site}/book/playground.html")
    assert tab.get_by_text("Here the networks would draw").is_visible()
    assert tab.locator(".course-playground img").is_visible()
    tab.context.close()
