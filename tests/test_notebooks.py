"""The rules that every chapter keeps, to open in Colab, read on a phone, and be checked."""

import ast
import inspect
import json
import re
from itertools import pairwise

import nbformat
import pytest
import yaml
from diffusers import UNet2DModel

from course_utils.models import gallery
from tests.conftest import ROOT, extension

CHAPTERS = sorted((ROOT / "book").glob("[0-9]*.ipynb"))
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text())
TOC = (ROOT / "_toc.yml").read_text()

APPENDIX = sorted((ROOT / "book").glob("[a-z]*.ipynb"))

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
# The pages of the appendix are notebooks, too, and keep the same rules where they are run.
notebooks = pytest.mark.parametrize("path", CHAPTERS + APPENDIX, ids=lambda path: path.stem)


def cells(path, kind=None):
    book = json.loads(path.read_text())["cells"]
    return [cell for cell in book if kind in (None, cell["cell_type"])]


def text(cell):
    return "".join(cell["source"])


def tags(cell):
    return cell["metadata"].get("tags", [])


def slug(heading):
    """The place that a heading is linked by."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def prose(path):
    return "\n".join(text(cell) for cell in cells(path, "markdown"))


def test_there_are_chapters():
    assert [path.stem for path in CHAPTERS][:1] == ["01_unet2dmodel"]


@notebooks
def test_is_a_valid_notebook_with_ids_and_the_common_kernel(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5)
    ids = [cell["id"] for cell in cells(path)]
    assert len(set(ids)) == len(ids)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata


@notebooks
def test_is_committed_without_outputs_and_without_empty_cells(path):
    for cell in cells(path, "code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
    assert all(text(cell).strip() for cell in cells(path))


@chapters
def test_begins_with_title_promise_budgets_badge_and_setup(path):
    title, badge, setup = cells(path)[:3]
    assert re.match(r"# \S.*\n", text(title))
    assert "you can" in text(title)
    assert all(f"| `{budget}` |" in text(title) for budget in ("smoke", "laptop", "full"))
    assert "remove-cell" in tags(badge)
    assert tags(setup) == ["setup"]
    assert "start_chapter(" in text(setup)
    assert "COURSE_UTILS_SPEC" in text(setup)
    assert sum("setup" in tags(cell) for cell in cells(path)) == 1


@notebooks
def test_has_one_title_and_no_skipped_heading_level(path):
    headings = [len(m) for m in re.findall(r"^(#+) ", prose(path), re.M)]
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))


@notebooks
def test_badge_points_at_this_file(path):
    """With the address a button; until then a comment that no page shows."""
    stamp, repository = extension("stamp"), CONFIG["repository"]
    wanted = stamp.badge(
        "Open in Colab", f"book/{path.name}", repository["url"], repository["branch"]
    )
    assert text(cells(path)[1]) == wanted


def test_the_address_is_the_same_everywhere(capsys):
    stamp = extension("stamp")
    assert stamp.main(check=True) == 0, capsys.readouterr().out
    moved = stamp.stamped(CHAPTERS[0].read_text(), "https://github.com/ada/course", "dev")
    assert moved.count("ada/course") == 2  # the badge and the setup cell
    assert "[![Open in Colab](https://colab" in moved
    assert "github/ada/course/blob/dev/book/01_unet2dmodel.ipynb)" in moved
    assert '\\"git+https://github.com/ada/course\\"' in moved
    again = stamp.stamped(moved, "https://github.com/eve/other", "main")
    assert "ada/course" not in again
    assert "github/eve/other/blob/main/book/01_unet2dmodel.ipynb)" in again
    back = stamp.stamped(again, CONFIG["repository"]["url"], CONFIG["repository"]["branch"])
    assert back == CHAPTERS[0].read_text()


def test_the_first_line_to_copy_clones_the_course():
    """With the address it can be copied as it stands; until then it says what belongs there."""
    stamp, readme = extension("stamp"), (ROOT / "README.md").read_text()
    moved = stamp.stamped(readme, "https://github.com/ada/course", "main")
    assert "\ngit clone https://github.com/ada/course diffusion-course && cd" in moved
    assert "ADDRESS diffusion-course" in stamp.stamped(moved, f"x/{stamp.NO_ADDRESS}/y", "main")


def test_readme_adds_up_the_minutes_that_the_pages_promise():
    promised = [re.search(r"promised=(\d+)", path.read_text()) for path in CHAPTERS + APPENDIX]
    together = sum(int(found[1]) for found in promised if found)
    told = re.search(r"ask for\s+(\d+) minutes together", (ROOT / "README.md").read_text())
    assert told
    assert int(told[1]) == together


def test_no_file_shows_a_button_before_there_is_an_address():
    if extension("stamp").NO_ADDRESS not in CONFIG["repository"]["url"]:
        return
    for path in [*(ROOT / "book").glob("*"), ROOT / "README.md"]:
        if path.suffix in (".md", ".ipynb"):
            assert "colab-badge.svg" not in path.read_text(), path.name


def test_the_default_address_can_belong_to_nobody():
    """GitHub's names hold single hyphens only, and none at either end."""
    owner = CONFIG["repository"]["url"].split("/")[3]
    allowed = re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", owner)
    assert not allowed or "--" not in owner


@notebooks
def test_uses_no_markup_that_colab_shows_raw(path):
    for cell in cells(path, "markdown"):
        assert not re.search(r"^(:::|```\{)|\{[a-z]+\}`", text(cell), re.M), cell["id"]


@notebooks
def test_compares_no_stored_outputs(path):
    """The marker compares nothing in a notebook without outputs, so it must not be there."""
    assert "NBVAL_CHECK_OUTPUT" not in path.read_text()


@notebooks
def test_figures_have_alt_text_and_captions(path):
    drawing = re.compile(
        r"(show_images|plot_losses|plot_card|draw_unet)\((?!.*\bcheck\b)|^fig$", re.M
    )
    for cell in cells(path, "code"):
        tail = text(cell).rstrip().split("\n")[-1]
        if not drawing.match(tail):
            continue
        meta = cell["metadata"]["mystnb"]
        assert len(meta["image"]["alt"]) > 30, cell["id"]
        assert len(meta["figure"]["caption"]) > 40, cell["id"]
        assert meta["figure"]["name"] == cell["id"]


def player_calls(path):
    for cell in cells(path, "code"):
        for node in ast.walk(ast.parse(text(cell))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Player":
                yield cell, {keyword.arg for keyword in node.keywords}


def test_a_film_of_several_pictures_names_each():
    """Its frames are put together along their width, and each part has its name above it."""
    films = [film for path in CHAPTERS + APPENDIX for film in player_calls(path)]
    side_by_side = [film for film in films if "dim=-1" in text(film[0])]
    assert len(films) > len(side_by_side) >= 2
    assert not [cell["id"] for cell, given in side_by_side if "tiles" not in given]


def test_no_two_figures_of_the_book_have_one_name():
    """They are labels of the whole book, and Sphinx would lead a reader to the wrong one."""
    all_cells = [cell["metadata"] for path in CHAPTERS + APPENDIX for cell in cells(path)]
    names = [m["mystnb"]["figure"]["name"] for m in all_cells if "figure" in m.get("mystnb", {})]
    assert len(names) == len(set(names)) > 50, sorted({n for n in names if names.count(n) > 1})


@notebooks
def test_code_fits_a_phone_and_is_broken_up_by_prose(path):
    run = 0
    for cell in cells(path):
        if cell["cell_type"] == "markdown":
            run = 0
            continue
        run += 1
        assert run <= 3, f"{cell['id']} is the fourth code cell in a row"
        lines = text(cell).split("\n")
        if not {"solution", "setup"} & set(tags(cell)):
            assert len(lines) <= 24, f"{cell['id']} has {len(lines)} lines"
        assert all(len(line) <= 76 or "://" in line for line in lines), cell["id"]


@chapters
def test_exercises_have_hints_and_solutions_that_check_themselves(path):
    exercises = re.findall(r"^### (Predict|Break|Build): ", prose(path), re.M)
    assert len(exercises) >= 3
    assert set(exercises) == {"Predict", "Break", "Build"}
    assert prose(path).count("<details><summary>Hint</summary>") == len(exercises)
    solutions = [cell for cell in cells(path, "code") if "solution" in tags(cell)]
    assert len(solutions) == len(exercises)
    for number, cell in enumerate(solutions, 1):
        assert text(cell).startswith(f"# @title Solution {number}\n")
        assert "assert " in text(cell) or "check_" in text(cell)
        assert "hide-cell" in tags(cell)
        assert cell["metadata"]["cellView"] == "form"  # folded in Colab
        assert cell["metadata"]["jupyter"]["source_hidden"]  # and in JupyterLab


@chapters
def test_ends_with_recap_sources_and_cost(path):
    assert "## What to take along" in prose(path)
    assert "**Where this came from.**" in prose(path)
    assert "**What to read next.**" in prose(path)
    assert "finish_chapter(" in text(cells(path, "code")[-1])


@notebooks
def test_is_in_the_table_of_contents(path):
    assert f"book/{path.stem}" in TOC


@chapters
@pytest.mark.parametrize("page", ["intro.md", "onward.ipynb"])
def test_is_named_by_the_first_page_and_the_last(path, page):
    """What a reader will be able to do, and what a reader now can."""
    told = (ROOT / "book" / page).read_text()
    assert f"]({path.name})" in told


@chapters
def test_states_facts_that_can_fail(path):
    """Facts stand as asserts: at least a dozen in a chapter, none of them a bare constant."""
    found = []
    for cell in cells(path, "code"):
        tree = ast.parse(text(cell))
        found += [node.test for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert len(found) >= 12
    assert not [node for node in found if isinstance(node, ast.Constant)]


def test_chapter_1_tells_every_argument_of_unet2dmodel_and_its_default():
    """Against today's signature: a new argument, or another default, turns this red."""
    signature = inspect.signature(UNet2DModel.__init__).parameters
    told = {}
    for name, default in re.findall(r"^\| `(\w+)` \| (.+?) \| ", prose(CHAPTERS[0]), re.M):
        told[name] = default
    truth = {name: p.default for name, p in signature.items() if name != "self"}
    assert set(told) - {"smoke", "laptop", "full"} == set(truth)
    folded = {
        '`("DownBlock2D", 3 × "AttnDownBlock2D")`': ("DownBlock2D",) + ("AttnDownBlock2D",) * 3,
        '`(3 × "AttnUpBlock2D", "UpBlock2D")`': ("AttnUpBlock2D",) * 3 + ("UpBlock2D",),
    }
    for name, default in truth.items():
        shown = folded.get(told[name])
        shown = ast.literal_eval(told[name].strip("`")) if shown is None else shown
        assert shown == default, name


SHARE_OR_FRACTION = re.compile(r"(?<![\d.,])(\d+(?:\.\d+)?) ?%|(?<![\d.,])(\d+\.\d+)(?![\d.]*\d)")
NAMED = re.compile(r"(section|version|versions|eq\.|equation|and) \d[\d.]*|arXiv \d+\.\d+")


def words_beside_cells(path):
    """Prose and captions, without code, formulas and the tables of others' numbers."""
    for cell in cells(path):
        told = text(cell) if cell["cell_type"] == "markdown" else ""
        told += cell["metadata"].get("mystnb", {}).get("figure", {}).get("caption", "")
        told = re.sub(r"^\|.*$|```.*?```|<!--.*?-->", "", told, flags=re.M | re.S)
        yield cell["id"], NAMED.sub("", re.sub(r"\$[^$]*\$|`[^`]*`", "", told))


@chapters
def test_a_result_stands_in_no_sentence_unless_a_cell_holds_it(path):
    """A percentage or a fraction in prose is a number that some cell sets, asserts or counts."""
    held = set()
    for cell in cells(path, "code"):
        for node in ast.walk(ast.parse(text(cell))):
            if isinstance(node, ast.Constant) and type(node.value) in (int, float):
                held |= {node.value, node.value * 100, round(node.value / 1e6, 2)}
                held |= {round(node.value / 1e6, 1), round(node.value, 3)}
    for name, told in words_beside_cells(path):
        for share, fraction in SHARE_OR_FRACTION.findall(told):
            number = float(share or fraction)
            assert any(abs(number - x) < 1e-9 for x in held), f"{name}: {number} is in no cell"


@pytest.mark.parametrize(
    ("chapter", "cell", "table"),
    [("05_flowers", "long-chance", "flowers.txt"), ("09_your_own", "few-seeds", "albums.txt")],
)
def test_what_a_page_quotes_of_a_benchmark_stands_in_its_table(chapter, cell, table):
    code = {c["id"]: text(c) for c in cells(ROOT / "book" / f"{chapter}.ipynb", "code")}
    measured = (ROOT / "benchmarks" / table).read_text()
    quoted = re.findall(r"\b0\.\d{2,3}\b", code[cell])
    assert len(quoted) >= 5, "the cell quotes nothing"
    for number in quoted:
        assert number in measured or f"{float(number):.1%}" in measured, f"{number}: not in {table}"


@pytest.mark.parametrize("name", gallery.sheets())
def test_a_sheet_was_drawn_after_as_many_updates_as_its_chapter_makes(name):
    path = ROOT / "book" / f"{extension('sheets').PLACES[name].chapter}.ipynb"
    code = "\n".join(map(text, cells(path, "code")))
    made = re.findall(r"num_steps ?= ?by_budget\(\s*smoke=\d+, laptop=([\d_]+)", code)
    assert gallery.sheet(name).card["updates"] in map(int, made), f"sheets.py {name} renews it"


@chapters
def test_the_minutes_of_the_first_cell_are_those_that_the_last_one_promises(path):
    told = re.search(r"\| `laptop` .* about (\d+) minutes on two idle cores", prose(path))
    promised = re.search(r"promised=(\d+)", text(cells(path, "code")[-1]))
    assert (told and told[1]) == (promised and promised[1])
