"""The flashcards: one list, ``book/flashcards.yml``, and what comes of it.

* The directive ``flashcards`` puts them on a page, folded, by chapter: it
  reads without scripts. The script beside this file adds the practice card.
* Cards with wrong answers beside the right one are the chapter's quiz.
* The same deck goes into the book as an Anki package and as a CSV file.

A card waits, on no page and in no file, until ``_toc.yml`` has its chapter.
"""

import csv
import html
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import genanki
import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
CARDS = ROOT / "book" / "flashcards.yml"
PAGE = "book/flashcards"
NAME = "From Noise to Butterflies"
APKG = "from-noise-to-butterflies.apkg"
CSV = "from-noise-to-butterflies.csv"
ASSETS = ("flashcards.js", "quiz.js", "flashcards.css")

# Anki knows deck and note type by these numbers. They must never change.
DECK_ID, MODEL_ID = 1_690_347_421, 1_342_904_785
KEYS = {"chapter", "section", "question", "answer"}


@dataclass(frozen=True)
class Wrong:
    """A choice that is not the answer, and the reason."""

    says: str
    because: str


@dataclass(frozen=True)
class Card:
    """Question and answer, as in the list, and where they are taught."""

    chapter: int
    section: str
    question: str
    answer: str
    wrong: tuple[Wrong, ...] = ()

    @property
    def key(self) -> str:
        """The name that Anki and browsers remember the card by."""
        return str(genanki.guid_for(NAME, self.chapter, self.question))


def chapter_pages() -> dict[int, str]:
    """The chapters that stand in ``_toc.yml``: number to page."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [c["file"] for part in toc["parts"] for c in part["chapters"]]
    found = [(re.search(r"/(\d\d)_", file), file) for file in files]
    return {int(m[1]): file for m, file in found if m}


def chapter_title(page: str) -> str:
    """The heading of a chapter, from its notebook."""
    notebook = ROOT / f"{page}.ipynb"
    book = json.loads(notebook.read_text(encoding="utf-8"))
    return "".join(book["cells"][0]["source"]).splitlines()[0].lstrip("# ")


def headings(page: str) -> list[str]:
    """The headings of a chapter, as they stand in its notebook."""
    notebook = (ROOT / f"{page}.ipynb").read_text(encoding="utf-8")
    cells = json.loads(notebook)["cells"]
    texts = ["".join(c["source"]) for c in cells]
    found = [
        re.findall(r"^#+ (.+)$", text, re.M)
        for text, cell in zip(texts, cells, strict=True)
        if cell["cell_type"] == "markdown"
    ]
    return [heading for some in found for heading in some]


def anchor(heading: str) -> str:
    """The place in a page that a heading is linked by."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def lost(cards: list[Card]) -> list[str]:
    """A line for each card whose section its chapter no longer has."""
    there = {n: headings(page) for n, page in chapter_pages().items()}
    return [
        f"chapter {card.chapter} has no heading {card.section!r}, to which "
        f"the card {card.question!r} leads"
        for card in cards
        if card.section not in there[card.chapter]
    ]


def all_cards(path: Path = CARDS) -> list[Card]:
    """Every card of the list, in its order."""
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    for row in rows:
        if set(row) - {"wrong"} != KEYS:
            raise ValueError(f"A card has {sorted(KEYS)}; this one: {row}")
    return [
        Card(**row | {"wrong": tuple(Wrong(**w) for w in row["wrong"])})
        if "wrong" in row
        else Card(**row)
        for row in rows
    ]


def deck(path: Path = CARDS) -> list[Card]:
    """The cards of the chapters that the book has."""
    chapters = chapter_pages()
    return [card for card in all_cards(path) if card.chapter in chapters]


def to_html(text: str) -> str:
    r"""Code and formulas as Anki wants them: ``<code>`` and \(…\)."""
    parts = re.split(r"(`[^`]+`|\$[^$]+\$)", text)
    return "".join(map(_part_to_html, parts))


def _part_to_html(part: str) -> str:
    inner = html.escape(part[1:-1], quote=False)
    if part.startswith("`"):
        return f"<code>{inner}</code>"
    if part.startswith("$"):
        return rf"\({inner}\)"
    return html.escape(part, quote=False)


def anki_model() -> genanki.Model:
    """How Anki shows a card: question, line, answer, and the chapter."""
    return genanki.Model(
        MODEL_ID,
        f"{NAME}: question and answer",
        fields=[{"name": n} for n in ("Question", "Answer", "Chapter")],
        templates=[
            {
                "name": "Card",
                "qfmt": "{{Question}}",
                "afmt": "{{FrontSide}}<hr id=answer>{{Answer}}"
                "<p><small>Chapter {{Chapter}}</small></p>",
            }
        ],
        css=".card {font: 20px sans-serif; text-align: center;"
        " max-width: 34em; margin: 1em auto}",
    )


def write_apkg(cards: list[Card], path: Path, when: float) -> None:
    """The deck for Anki. A note's id follows from chapter and question."""
    anki_deck, model = genanki.Deck(DECK_ID, NAME), anki_model()
    for place, card in enumerate(cards):
        fields = [to_html(card.question), to_html(card.answer)]
        anki_deck.add_note(
            genanki.Note(
                model=model,
                fields=[*fields, str(card.chapter)],
                guid=card.key,
                tags=[f"chapter-{card.chapter}"],
                due=place,
            )
        )
    genanki.Package(anki_deck).write_to_file(path, timestamp=when)


def write_csv(cards: list[Card], path: Path) -> None:
    """The deck as a table: question, answer, chapter."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["question", "answer", "chapter"])
        rows.writerows([c.question, c.answer, c.chapter] for c in cards)


class flashcard(nodes.General, nodes.Element):
    """A folded card; its children are its two sides."""


def visit_flashcard(self: Any, node: flashcard) -> None:
    """Open the fold. What the children are is said by their classes."""
    self.body.append(
        '<details class="flashcard" data-chapter="{chapter}"'
        ' data-key="{key}">'.format(
            chapter=node["chapter"], key=html.escape(node["key"])
        )
    )


def depart_flashcard(self: Any, node: flashcard) -> None:
    """Close the fold."""
    self.body.append("</details>\n")


class side(nodes.General, nodes.TextElement):
    """A part of a card: ``summary`` the question, ``div`` the answer."""


def visit_side(self: Any, node: side) -> None:
    """Open one part of a card."""
    kind = f' class="{node["kind"]}"' if node.get("kind") else ""
    self.body.append(f"<{node['tag']}{kind}>")


def depart_side(self: Any, node: side) -> None:
    """Close one part of a card."""
    self.body.append(f"</{node['tag']}>")


class Flashcards(SphinxDirective):
    """``{flashcards}``: all cards, in a section for each chapter."""

    def run(self) -> list[nodes.Node]:
        """The sections; the script beside this file practises them."""
        self.env.note_dependency(str(CARDS))
        self.env.note_dependency(str(ROOT / "_toc.yml"))
        if gone := lost(deck()):
            raise self.error("\n".join(gone))
        return [*self.sections()]

    def sections(self) -> Iterator[nodes.section]:
        """A section for each chapter, with its cards."""
        pages = chapter_pages()
        for number, cards in groupby(deck(), lambda card: card.chapter):
            section = nodes.section(ids=[f"chapter-{number}"])
            section += nodes.title("", f"Chapter {number}")
            page = Path(pages[number]).name
            link = f"[{chapter_title(pages[number])}]({page}.ipynb)"
            section += nodes.paragraph("", "", *self.inline(link))
            section += [self.card(card, page) for card in cards]
            yield section

    def card(self, card: Card, page: str) -> flashcard:
        """One card as a node: question; answer, what it is not, where."""
        node = flashcard(chapter=card.chapter, key=card.key)
        node += self.part("summary", card.question)
        node += self.part("div", card.answer, "flashcard-answer")
        for wrong in card.wrong:
            row = side("", "", tag="div", kind="flashcard-wrong")
            row += self.part("span", wrong.says, "flashcard-says")
            row += self.part("span", wrong.because, "flashcard-because")
            node += row
        where = f"{page}.ipynb#{anchor(card.section)}"
        link = f"[Chapter {card.chapter}, “{card.section}”]({where})"
        node += self.part("div", link, "flashcard-where")
        return node

    def part(self, tag: str, text: str, kind: str = "") -> side:
        """A part of a card."""
        return side("", "", *self.inline(text), tag=tag, kind=kind)

    def inline(self, text: str) -> list[nodes.Node]:
        """Code, formulas and links, by the book's own parser."""
        return self.state.inline_text(text, self.lineno)[0]


def add_assets(app: Sphinx, page: str, *_: Any) -> None:
    """Load script and style on the one page that has cards."""
    if page == PAGE:
        for script in ("flashcards.js", "quiz.js"):
            app.add_js_file(f"flashcards/{script}", loading_method="defer")
        app.add_css_file("flashcards/flashcards.css")


def write_files(app: Sphinx, exception: Exception | None) -> None:
    """Put the two downloads, the script and the style into the book."""
    if exception is not None or app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / "flashcards"
    target.mkdir(parents=True, exist_ok=True)
    for name in ASSETS:
        shutil.copyfile(Path(__file__).with_name(name), target / name)
    when = float(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    write_apkg(deck(), target / APKG, when)
    write_csv(deck(), target / CSV)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive and the files with Sphinx."""
    app.add_node(flashcard, html=(visit_flashcard, depart_flashcard))
    app.add_node(side, html=(visit_side, depart_side))
    app.add_directive("flashcards", Flashcards)
    app.connect("html-page-context", add_assets)
    app.connect("build-finished", write_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
