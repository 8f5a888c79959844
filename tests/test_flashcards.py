"""The flashcards: a sound list, and page, Anki package and CSV file that hold exactly that list."""

import csv
import html
import json
import re
import sqlite3
import zipfile
from collections import Counter
from dataclasses import replace

import pytest
import yaml
from bs4 import BeautifulSoup

from tests.conftest import ROOT, extension
from tests.test_book import open_page, ours

PAGE = "book/flashcards"


ext = extension("course_flashcards")
LIST = yaml.safe_load((ROOT / "book/flashcards.yml").read_text())
TOC = re.findall(r"file: book/(\d\d)_", (ROOT / "_toc.yml").read_text())
CHAPTERS = [int(number) for number in TOC]
SHOWN = [card for card in LIST if card["chapter"] in CHAPTERS]
TOLD = [{key: card[key] for key in ("chapter", "question", "answer")} for card in SHOWN]
QUIZ = [card for card in SHOWN if "wrong" in card]
texts = pytest.mark.parametrize(
    ("side", "text"),
    [(side, card[side]) for card in LIST for side in ("question", "answer")]
    + [(side, w[side]) for card in LIST for w in card.get("wrong", []) for side in w],
)


# ---- the list


def test_every_chapter_has_at_least_twelve_cards():
    count = Counter(card["chapter"] for card in LIST)
    assert CHAPTERS
    assert {n: count[n] for n in CHAPTERS if count[n] < 12} == {}


def test_every_card_belongs_to_a_chapter():
    chapters = list(dict.fromkeys(card["chapter"] for card in LIST))
    assert chapters == sorted(chapters), "the cards stand in the order of the chapters"
    assert all(type(n) is int for n in chapters)
    assert chapters == CHAPTERS


def test_no_question_and_no_answer_stands_twice():
    for side in ("question", "answer"):
        words = [re.sub(r"\W+", " ", card[side]).strip().lower() for card in LIST]
        assert [w for w, n in Counter(words).items() if n > 1] == []


@texts
def test_text_is_short_and_plain(side, text):
    assert text == text.strip()
    assert len(text) <= {"question": 120}.get(side, 180)
    assert "\n" not in text
    assert text[-1] in ("?." if side == "question" else "?.`$")
    # nothing that only MyST or only Markdown knows: it would be read raw in Anki and in CSV
    words = re.sub(r"`[^`]+`|\$[^$]+\$", "x", text)
    assert not re.search(r"\{\w+\}|:::|[`*_<>]|\]\(", words)


@texts
def test_code_and_formulas_are_closed(side, text):
    without = re.sub(r"`[^`]+`|\$[^$]+\$", "", text)
    assert "`" not in without
    assert "$" not in without
    assert "\\" not in without, "a formula stands between dollars"


def test_every_card_leads_to_a_heading_that_its_chapter_has():
    """A renamed heading turns this red: give the cards that are named here the new one."""
    assert ext.lost(ext.deck()) == []


def test_a_renamed_heading_is_told_with_its_card():
    lost = [ext.Card(1, "No such heading", "Why?", "So.")]
    assert ext.lost(lost) == [
        "chapter 1 has no heading 'No such heading', to which the card 'Why?' leads"
    ]


def test_every_chapter_has_a_quiz_with_reasons():
    count = Counter(card["chapter"] for card in QUIZ)
    assert {n: count[n] for n in CHAPTERS if count[n] < 4} == {}
    for card in QUIZ:
        assert len(card["wrong"]) >= 2, card["question"]
        says = [card["answer"], *(wrong["says"] for wrong in card["wrong"])]
        assert len(set(says)) == len(says)
        assert all(set(wrong) == {"says", "because"} for wrong in card["wrong"])


def test_a_card_with_another_key_is_refused(tmp_path):
    wrong = tmp_path / "cards.yml"
    wrong.write_text("- {chapter: 1, section: A, question: Why, anwser: So.}")
    with pytest.raises(ValueError, match="anwser"):
        ext.all_cards(wrong)


def test_cards_of_chapters_that_are_not_in_the_book_wait(tmp_path):
    path = tmp_path / "cards.yml"
    rest = {"section": "The data", "answer": "Yes."}
    rows = [{"chapter": n, "question": f"{n}?"} | rest for n in (*CHAPTERS, 98)]
    path.write_text(yaml.safe_dump(rows))
    assert [card.chapter for card in ext.deck(path)] == CHAPTERS
    assert len(ext.all_cards(path)) == len(CHAPTERS) + 1


# ---- the files


def read_package(path):
    """The notes of an Anki package, in the order in which it shows them."""
    with zipfile.ZipFile(path) as package:
        assert package.testzip() is None
        assert json.loads(package.read("media")) == {}
        database = path.with_suffix(".anki2")
        database.write_bytes(package.read("collection.anki2"))
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = connection.execute(
            "SELECT flds, guid, tags, cards.did FROM cards JOIN notes ON notes.id = nid "
            "ORDER BY due"
        ).fetchall()
        decks = json.loads(connection.execute("SELECT decks FROM col").fetchone()[0])
        models = json.loads(connection.execute("SELECT models FROM col").fetchone()[0])
    connection.close()
    return rows, decks, models


def from_html(text):
    """Back from what Anki shows to what stands in the list."""
    text = re.sub(r"</?code>", "`", re.sub(r"\\\(|\\\)", "$", text))
    assert not re.search(r"<", text)
    return html.unescape(text)


@pytest.fixture
def downloads(built_book):
    return built_book / "_static/flashcards"


def test_anki_package_of_the_book_holds_the_list(downloads, tmp_path):
    copy = tmp_path / "deck.apkg"
    copy.write_bytes((downloads / ext.APKG).read_bytes())
    rows, decks, models = read_package(copy)
    found = []
    for fields, _, tags, deck in rows:
        question, answer, chapter = fields.split("\x1f")
        found.append(
            {
                "chapter": int(chapter),
                "question": from_html(question),
                "answer": from_html(answer),
            }
        )
        assert tags.split() == [f"chapter-{chapter}"]
        assert deck == ext.DECK_ID
    assert found == TOLD
    assert decks[str(ext.DECK_ID)]["name"] == "From Noise to Butterflies"
    assert [field["name"] for field in models[str(ext.MODEL_ID)]["flds"]] == [
        "Question",
        "Answer",
        "Chapter",
    ]


def guids(path, cards, when):
    ext.write_apkg(cards, path, when)
    return [row[1] for row in read_package(path)[0]]


def test_ids_stay_when_time_passes_and_answers_are_mended(tmp_path):
    cards = ext.all_cards()
    first = guids(tmp_path / "first.apkg", cards, when=1e9)
    mended = [replace(card, answer=card.answer + " Or so.") for card in cards]
    assert guids(tmp_path / "later.apkg", mended, when=1.1e9) == first
    assert len(set(first)) == len(cards)
    asked_anew = [replace(card, question=card.question + "?") for card in cards]
    assert not set(guids(tmp_path / "other.apkg", asked_anew, when=1e9)) & set(first)
    assert (ext.DECK_ID, ext.MODEL_ID) == (1690347421, 1342904785)  # known to readers' Anki


def test_formulas_and_code_reach_anki_as_it_wants_them():
    made = ext.to_html("Is $a < b_1$ in `x<y`, & so?")
    assert made == r"Is \(a &lt; b_1\) in <code>x&lt;y</code>, &amp; so?"
    assert from_html(made) == "Is $a < b_1$ in `x<y`, & so?"


def test_csv_of_the_book_holds_the_list(downloads):
    with (downloads / ext.CSV).open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    for row in found:
        row["chapter"] = int(row["chapter"])
    assert found == TOLD


# ---- the page


def page(built_book):
    return BeautifulSoup((built_book / f"{PAGE}.html").read_text(), "html.parser")


def test_page_has_every_card_with_its_formulas(built_book):
    folded = page(built_book).select("article details.flashcard")
    assert len(folded) == len(SHOWN) > 0
    for node, card in zip(folded, SHOWN, strict=True):
        assert node["data-chapter"] == str(card["chapter"])
        for tag, side in (("summary", "question"), ("div", "answer")):
            part = node.find(tag, recursive=False)
            formulas = [m.get_text()[2:-2] for m in part.select("span.math")]
            assert formulas == re.findall(r"\$([^$]+)\$", card[side])
            assert [c.get_text() for c in part.select("code")] == re.findall(
                "`([^`]+)`", card[side]
            )
        for row, wrong in zip(node.select(".flashcard-wrong"), card.get("wrong", []), strict=True):
            assert row.select_one(".flashcard-says").get_text()
            if not re.search("[`$]", wrong["because"]):
                assert row.select_one(".flashcard-because").get_text() == wrong["because"]


def test_each_card_of_the_page_leads_to_its_section(built_book):
    """That the place is there is tested with all links of the book."""
    for node, card in zip(page(built_book).select("details.flashcard"), SHOWN, strict=True):
        link = node.select_one(".flashcard-where a")
        assert re.match(rf"{card['chapter']:02}_\w+\.html#.", link["href"])
        words = re.split(r"[`$'’]", card["section"])[0]
        assert link.get_text().startswith(f"Chapter {card['chapter']}, “{words}")


def test_page_links_each_chapter_and_both_files(built_book):
    tree = page(built_book)
    links = [a["href"] for a in tree.select("article a[href]")]
    for number in CHAPTERS:
        section = tree.select_one(f"section#chapter-{number}")
        assert f"{number:02}_" in section.select_one("p a")["href"]
        assert len(section.select("details.flashcard")) >= 12
    for name in (ext.APKG, ext.CSV):
        assert f"../_static/flashcards/{name}" in links


def test_other_pages_do_not_load_the_script(built_book):
    assert "flashcards.js" not in (built_book / "book/intro.html").read_text()


def test_cards_read_without_scripts(browser, site):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{site}/{PAGE}.html")
    card = tab.locator("details.flashcard").first
    assert tab.locator(".practice").count() == 0
    assert not card.locator(".flashcard-answer").is_visible()
    card.locator("summary").click()
    assert card.locator(".flashcard-answer").is_visible()
    second = tab.locator("details.flashcard").nth(1)
    second.locator("summary").focus()
    tab.keyboard.press("Enter")
    assert second.locator(".flashcard-answer").is_visible()
    context.close()


@pytest.fixture
def practice(browser, site):
    tab, trouble = open_page(browser, site, PAGE)
    tab.wait_for_selector(".practice-count:has-text('card 1 of')")
    yield tab
    assert ours(trouble) == []
    tab.context.close()


def front(tab):
    return tab.locator(".practice-question > p")


def answer(tab):
    return tab.locator(".practice-answer > p").nth(1)


def count(tab):
    return tab.locator(".practice .practice-count").inner_text()


def is_turned(tab):
    """Which side can be seen: exactly one of the two."""
    tab.wait_for_timeout(50)
    assert front(tab).is_visible() != answer(tab).is_visible()
    return answer(tab).is_visible()


def test_a_card_turns_by_mouse_and_goes_on_and_back(practice):
    tab = practice
    assert count(tab) == f"card 1 of {len(SHOWN)}, chapter {SHOWN[0]['chapter']}"
    assert not is_turned(tab)
    tab.locator(".practice-card").click()
    assert is_turned(tab)
    assert "Answer: Noisy pictures" in tab.locator(".practice-status").inner_text()
    tab.get_by_role("button", name="Back to the question").click()
    assert not is_turned(tab)
    tab.get_by_role("button", name="Show the answer").click()
    tab.get_by_role("button", name="Next card").click()
    assert count(tab).startswith("card 2 of")
    assert not is_turned(tab), "a new card shows its question"
    assert front(tab).inner_text() != ""
    for _ in range(2):
        tab.get_by_role("button", name="Card before").click()
    assert count(tab).startswith(f"card {len(SHOWN)} of"), "before the first is the last"


def test_a_card_turns_and_moves_by_keyboard_alone(practice):
    tab = practice
    tab.locator(".practice select").focus()
    for _ in range(4):  # only those not known, shuffle, back, turn
        tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.dataset.do") == "flip"
    tab.keyboard.press("Space")
    assert is_turned(tab)
    tab.keyboard.press("Enter")
    assert not is_turned(tab)
    tab.keyboard.press("ArrowRight")
    assert count(tab).startswith("card 2 of")
    tab.keyboard.press("ArrowLeft")
    assert count(tab).startswith("card 1 of")


def test_a_card_turns_by_touch(browser, site):
    phone = {"width": 390, "height": 844}
    context = browser.new_context(has_touch=True, is_mobile=True, viewport=phone)
    tab = context.new_page()
    tab.goto(f"{site}/{PAGE}.html")
    tab.wait_for_selector(".practice-count:has-text('card 1 of')")
    tab.locator(".practice-card").tap()
    tab.wait_for_timeout(600)
    assert is_turned(tab)
    tab.get_by_role("button", name="Next card").tap()
    assert count(tab).startswith("card 2 of")
    context.close()


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_cards_of_one_chapter(practice, chapter):
    tab = practice
    tab.locator(".practice select").select_option(str(chapter))
    wanted = [card for card in SHOWN if card["chapter"] == chapter]
    assert count(tab) == f"card 1 of {len(wanted)}, chapter {chapter}"
    for _ in wanted[1:]:
        tab.keyboard.press("Tab")  # leaves the select, whose own keys are the arrows
        tab.get_by_role("button", name="Next card").click()
        assert count(tab).endswith(f"chapter {chapter}")
    tab.locator(".practice select").select_option("")
    assert count(tab).startswith(f"card 1 of {len(SHOWN)},")


def walk(tab):
    seen = []
    for _ in SHOWN:
        seen.append(front(tab).inner_html())
        tab.get_by_role("button", name="Next card").click()
    return seen


def test_shuffling_changes_the_order_and_loses_no_card(practice):
    tab = practice
    before = walk(tab)
    assert len(set(before)) == len(SHOWN)
    tab.get_by_role("button", name="Shuffle").click()
    after = walk(tab)
    assert after != before  # the same order again has a chance of one in a googol
    assert sorted(after) == sorted(before)


def test_formulas_of_the_practice_card_are_typeset(practice):
    tab = practice
    for _ in SHOWN:
        for side in (".practice-question", ".practice-answer"):
            assert "\\(" not in tab.locator(side).inner_text()
        tab.get_by_role("button", name="Next card").click()
    assert tab.locator(".practice mjx-merror").count() == 0
    assert tab.locator("details.flashcard mjx-container").count() > 20


# ---- what the reader knew


def press(tab, name):
    tab.get_by_role("button", name=name, exact=True).click()


def tally(tab):
    return tab.locator(".practice-tally span").inner_text()


def test_what_was_known_is_kept_by_the_browser_and_left_out_on_demand(practice):
    tab, first = practice, front(practice).inner_text()
    assert tab.get_by_role("button", name="I knew it").is_disabled(), "before the answer is seen"
    press(tab, "Show the answer")
    press(tab, "I knew it")
    assert count(tab).startswith("card 2 of")
    press(tab, "Show the answer")
    press(tab, "Not yet")
    assert tally(tab) == f"You knew 1 of {len(SHOWN)}."

    tab.reload()
    tab.wait_for_selector(".practice-count:has-text('card 1 of')")
    assert tally(tab) == f"You knew 1 of {len(SHOWN)}."
    press(tab, "Only those I do not know yet")
    assert count(tab).startswith(f"card 1 of {len(SHOWN) - 1},")
    assert front(tab).inner_text() != first
    press(tab, "Begin anew")
    assert tally(tab) == f"You knew 0 of {len(SHOWN)}."
    assert front(tab).inner_text() == first


def test_when_all_of_a_chapter_is_known_it_says_so(practice):
    tab, wanted = practice, [card for card in SHOWN if card["chapter"] == CHAPTERS[0]]
    tab.locator(".practice select").select_option(str(CHAPTERS[0]))
    press(tab, "Only those I do not know yet")
    tab.locator("[data-do=flip]").focus()
    for _ in wanted:
        tab.keyboard.press("Space")
        tab.keyboard.press("y")
    assert "You knew them all" in front(tab).inner_text()
    assert tally(tab) == f"You knew {len(wanted)} of {len(wanted)}."
    press(tab, "Begin anew")
    assert count(tab).startswith(f"card 1 of {len(wanted)},")


# ---- the quiz


# Which button of the quiz repeats this part of the card that is asked.
FIND = """(quiz, part) => {
    const asked = quiz.querySelector(".quiz-question").innerHTML;
    const card = [...document.querySelectorAll("details.flashcard")].find(
        (one) => one.querySelector("summary").innerHTML === asked);
    const words = card.querySelector(part).innerHTML;
    return [...quiz.querySelectorAll(".quiz-choices button")].findIndex(
        (button) => button.innerHTML === words);
}"""


def test_the_quiz_gives_a_reason_for_each_choice_and_counts_first_tries(practice):
    quiz = practice.locator(".quiz")
    chapter = [card for card in QUIZ if card["chapter"] == CHAPTERS[0]]
    starts = [re.split("[`$']", w["because"])[0] for card in chapter for w in card["wrong"]]
    choices, reason = quiz.locator(".quiz-choices button"), quiz.locator(".quiz-reason")
    for number in range(1, len(chapter) + 1):
        told = quiz.locator(".practice-count").inner_text()
        assert told == f"question {number} of {len(chapter)}"
        assert choices.count() >= 3
        if number == 1:  # a wrong one first
            choices.nth(quiz.evaluate(FIND, ".flashcard-says")).click()
            words = reason.inner_text()
            assert any(words.startswith("No. " + start.strip()) for start in starts)
            assert not quiz.locator(".quiz-next").is_visible()
        choices.nth(quiz.evaluate(FIND, ".flashcard-answer")).click()
        assert reason.inner_text().startswith("Right. Chapter 1")
        quiz.locator(".quiz-next").click()
    done = f"{len(chapter) - 1} of {len(chapter)} at the first try."
    assert quiz.locator(".quiz-question").inner_text() == done
    quiz.locator(".quiz-next").click()
    assert quiz.locator(".practice-count").inner_text() == f"question 1 of {len(chapter)}"
