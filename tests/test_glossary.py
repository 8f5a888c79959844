"""The glossary: what the chapters define in bold is in it, and every entry leads to its chapter."""

import re

import pytest

from tests.conftest import ROOT
from tests.test_notebooks import APPENDIX, CHAPTERS, prose, slug

PAGE = (ROOT / "book/glossary.md").read_text()
BODY = re.search(r"```\{glossary\}\n(.*)```", PAGE, re.S)[1]
ENTRIES = [entry.split("\n") for entry in BODY.strip().split("\n\n")]
TERMS = {tuple(x for x in e if x[0] != " "): " ".join(x for x in e if x[0] == " ") for e in ENTRIES}
NAMES = [name for names in TERMS for name in names]

# Bold words of the chapters that define nothing; each must still stand there in bold.
# A word of one's own that is neither here nor in the glossary turns the test red.
EMPHASIS = {
    # "cosine" and "held-out" are in the glossary with the word that follows
    "01": {"once", "added", "between", "cosine", "held-out"},
    "02": {"distribution", "small set", "noise", "picture", "class", "levels", "answer"}
    | {"trace"},
    "04": {"everything", "in a terminal", "noise", "once", "the", "whole"},
    "05": {"both", "how much noise", "learns", "mean", "not", "what is far", "what is near"},
    "07": {"noise found anew", "nothing clipped"},
    "09": {"in a terminal", "set aside", "web page"},
    "03": {"for each picture", "of the same shape", "work"},
}


def bold_words(path):
    """Bold words that may be terms: up to four, no label before a text, no whole sentence."""
    text = re.sub(r"^\*\*[^*]+(\.\*\*|\*\*\n)", "", prose(path), flags=re.M)
    found = re.findall(r"\*\*([^*]+)\*\*", text)
    return [words for words in found if len(words.split()) <= 4 and words[-1] not in ".,:?"]


def speaks_of(text, name):
    """Whether the words of a term stand in a text, one after the other, in one or many."""
    words = [rf"{re.escape(word.removesuffix('s'))}(e?s)?" for word in name.lower().split()]
    return bool(
        re.search(r"(?<!\w)" + r"[\s-]+".join(words) + r"(?!\w)", text.lower().replace("*", ""))
    )


def as_term(words):
    return words.lower().removeprefix("the ").strip()


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_term_that_a_chapter_defines_in_bold_is_in_the_glossary(path):
    known = {as_term(name) for name in NAMES}
    known |= {f"{name}s" for name in known} | {name.removesuffix("s") for name in known}
    emphasis = EMPHASIS.get(path.stem[:2], set())
    words = {as_term(words) for words in bold_words(path)}
    assert words - known - emphasis == set()
    assert emphasis - words == set(), "no longer in bold there"


def test_terms_stand_in_alphabetical_order_and_once():
    first = [names[0].lower() for names in TERMS]
    assert first == sorted(first)
    assert len({name.lower() for name in NAMES}) == len(NAMES) > 30


@pytest.mark.parametrize("names", TERMS, ids=lambda names: names[0])
def test_entry_is_short_and_leads_to_a_chapter_that_uses_the_word(names):
    place = r"\[(?:Chapter \d[^]]*|The fine print)\]"
    meaning, link = re.fullmatch(rf"\s*(.*){place}\((.*)\)", TERMS[names]).groups()
    assert 1 <= len(re.findall(r"\.(?= |$)", meaning)) <= 3, "one or two sentences, or three"
    notebook, anchor = re.fullmatch(r"(\w+)\.ipynb#([\w-]+)", link).groups()
    path = next(path for path in [*CHAPTERS, *APPENDIX] if path.stem == notebook)
    headings = re.findall(r"^#+ (.+)$", prose(path), re.M)
    assert anchor in map(slug, headings)
    assert any(speaks_of(prose(path), name) for name in names), f"not in {path.stem}: {names}"
