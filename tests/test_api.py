"""The pages of the package: what a face offers stands on its page, apart from what is inside."""

import ast
import importlib
import inspect
import itertools
import re

import pytest
import yaml
from PIL import Image

from course_utils.data import draw_many
from tests.conftest import ROOT
from tests.test_package import FACES, MODULES

FIRST = (ROOT / "book/api.md").read_text()
PACKAGE = sorted((ROOT / "course_utils").rglob("*.py"))
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())


def halves(face):
    """What one calls, and what is inside, as they stand on the page of a folder."""
    text = (ROOT / f"book/api/{face}.md").read_text()
    return text.split("\n## Inside\n")


def offered(module):
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            yield name


@pytest.mark.parametrize("face", [*FACES, "frame"])
def test_what_a_face_offers_stands_apart_from_what_is_inside(face):
    package = "course_utils" if face == "frame" else f"course_utils.{face}"
    call, inside = halves(face)
    shown = re.findall(rf"^\.\. auto(?:function|class):: {package}\.(\w+)$", call, re.M)
    module = importlib.import_module(package)
    assert shown == list(offered(module)), "the page and __all__ differ"
    hidden = re.findall(r"^   :exclude-members: (.+)$", inside, re.M)
    hidden = {name for row in hidden for name in row.split(", ")}
    assert hidden == set(shown)


def test_every_module_stands_on_the_page_of_its_folder():
    for name in MODULES:
        parts = name.split(".")
        if parts[-1] == "__main__" or len(parts) == 1:
            continue
        top = len(parts) == 2 and parts[1] not in FACES
        face = "frame" if top else parts[1]
        if parts[1:] == [face] or "drawing" in parts[:-1]:
            continue  # a face itself; the files that draw, which the face of drawing tells
        text = (ROOT / f"book/api/{face}.md").read_text()
        assert re.search(rf"^\.\. automodule:: {re.escape(name)}$", text, re.M), name


def test_the_first_page_leads_to_every_folder():
    pages = re.findall(r"\]\(api/(\w+)\.md\)", FIRST)
    assert sorted(pages) == sorted([*FACES, "frame"])
    (entry,) = [c for part in TOC["parts"] for c in part["chapters"] if c["file"] == "book/api"]
    assert [s["file"] for s in entry["sections"]] == [f"book/api/{page}" for page in pages]


def test_the_tasks_name_what_the_faces_offer():
    """That the links lead somewhere the build proves: it runs with -n."""
    named = re.findall(r"\{py:\w+\}`~course_utils\.(\w+)\.([\w.]+)`", FIRST)
    assert {face for face, _ in named} == set(FACES)
    for face, name in named:
        module = importlib.import_module(f"course_utils.{face}")
        assert name.split(".")[0] in module.__all__


def test_your_own_pictures_in_15_lines_runs_with_yours(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", FIRST, re.S)
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-pictures").mkdir()
    for k, picture in enumerate(draw_many("flowers", count=4, size=40)[0]):
        Image.fromarray(picture).save(tmp_path / "my-pictures" / f"{k}.png")
    small = code.replace("num_steps=2000", "num_steps=2, num_warmup_steps=1, batch_size=2")
    small = small.replace("range(16)", "range(1)").replace("(32, 64, 128)", "(8, 16)")
    assert small.count("range(1)") == small.count("num_steps=2,") == small.count("(8, 16)") == 1
    exec(compile(small, "book/api.md", "exec"), {})
    assert (tmp_path / "mine.png").stat().st_size > 500
    assert (tmp_path / "my-run").is_dir()


def _place(path):
    return str(path.relative_to(ROOT))


def constants(path):
    """The public constants of a module, each with what is written below it."""
    body = ast.parse(path.read_text()).body
    for made, below in itertools.pairwise(body):
        if isinstance(made, ast.Assign | ast.AnnAssign) and isinstance(below, ast.Expr):
            name = ast.unparse(made.targets[0] if isinstance(made, ast.Assign) else made.target)
            if not name.startswith("_"):
                yield name, ast.literal_eval(below.value)


@pytest.mark.parametrize("path", [p for p in PACKAGE if not p.stem.startswith("_")], ids=_place)
def test_no_words_about_a_constant_are_taken_for_its_type(path):
    """Sphinx takes what stands before a colon for a type, and then finds no such class."""
    for name, words in constants(path):
        before = re.sub(r"``.*?``|``.*", "", words.split("\n\n")[0].split("\n")[0])
        assert ": " not in before, f"{name}: put a comma or a semicolon for the colon in {words!r}"
