"""The package as a whole: light to import, faces that hold, and documented to the last argument."""

import ast
import doctest
import importlib
import inspect
import itertools
import json
import re
import subprocess
import sys
import textwrap

import pytest

from tests.conftest import ROOT
from tests.test_notebooks import CHAPTERS, prose

PACKAGE = ROOT / "course_utils"
FACES = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
# Public modules by the name that they are imported under.
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if not path.stem.startswith("_") or path.stem == "__init__"
}


@pytest.mark.parametrize("heavy", ["torch", "diffusers", "datasets", "accelerate", "matplotlib"])
def test_importing_the_package_is_light(heavy):
    code = f"import sys, course_utils; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_faces_load_only_what_they_are_made_of():
    """Pictures and measures need no diffusers; datasets waits until it is asked for."""
    code = (
        "import sys, course_utils.data, course_utils.metrics, course_utils.noise;"
        "assert 'diffusers' not in sys.modules, 'diffusers';"
        "import course_utils.sampling, course_utils.models, course_utils.training;"
        "import course_utils.share;"
        "sys.exit(any(m in sys.modules for m in ('datasets', 'sklearn')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", FACES)
def test_a_face_is_one_screen_and_exports_what_it_says(name):
    face = importlib.import_module(f"course_utils.{name}")
    assert len((PACKAGE / name / "__init__.py").read_text().splitlines()) <= 70
    assert len(set(face.__all__)) == len(face.__all__)
    assert all(hasattr(face, attribute) for attribute in face.__all__)
    files = {path.stem for path in (PACKAGE / name).glob("*.py") if path.stem[0] != "_"}
    assert files <= set(re.findall(r"\w+", face.__doc__)), "the face does not name its files"
    assert (ROOT / "tests" / name).is_dir()


def test_chapters_import_from_faces():
    known = {"course_utils", "course_utils.files", *(f"course_utils.{face}" for face in FACES)}
    for path in CHAPTERS:
        for module in re.findall(r"from (course_utils[\w.]*) import", path.read_text()):
            assert module in known, f"{path.stem} imports from {module}"


def public_objects():
    for name in MODULES:
        if name.endswith("__main__"):
            continue
        module = importlib.import_module(name)
        for attribute, value in vars(module).items():
            if attribute.startswith("_") or getattr(value, "__module__", "") != name:
                continue
            if inspect.isfunction(value) or inspect.isclass(value):
                yield f"{name}.{attribute}", value
            if inspect.isclass(value) and not getattr(value, "_is_protocol", False):
                for method, function in vars(value).items():
                    if not method.startswith("_") and inspect.isfunction(function):
                        yield f"{name}.{attribute}.{method}", function


PUBLIC = dict(public_objects())


def test_there_is_something_to_document():
    assert len(PUBLIC) > 100


def parameters_of(thing):
    target = thing.__init__ if inspect.isclass(thing) else thing
    names = [name for name in inspect.signature(target).parameters if name != "self"]
    return [name for name in names if name not in ("args", "kwargs")]


def told_below(thing):
    """The fields of a class that have a text of their own below them."""
    body = ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0].body
    return {
        field.target.id
        for field, below in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr)
    }


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_is_complete(name):
    """Every argument, the result and the errors raised are told, and no argument that is none."""
    thing = PUBLIC[name]
    text = inspect.getdoc(thing)
    assert text, "no docstring"
    if getattr(thing, "_is_protocol", False):
        return
    plain_class = inspect.isclass(thing) and (
        hasattr(thing, "__dataclass_fields__") or issubclass(thing, Exception)
    )
    section = "Attributes" if plain_class else "Args"
    if plain_class:
        own = inspect.get_annotations(thing)  # a parent tells its own fields itself
        fields = getattr(thing, "__dataclass_fields__", {})
        wanted = [n for n in fields if n in own and n not in told_below(thing)]
    else:
        wanted = parameters_of(thing)
    told = re.search(rf"^{section}:\n((?:(?: +.*)?\n?)+)", text, re.M)
    found = re.findall(r"^    (\w+): ", told[1], re.M) if told else []
    assert found == wanted
    if not inspect.isclass(thing):
        source = inspect.getsource(thing)
        returns = inspect.signature(thing).return_annotation
        assert (returns in (None, "None")) or "Returns:" in text or "Yields:" in text
        assert ("Raises:" in text) or not re.search(r"^\s+raise \w", source, re.M)
    assert "Source:\n    The course's own" not in text  # a source only where there is one


HEADINGS = {
    path.stem: [
        re.sub(r"[`*]", "", heading) for heading in re.findall(r"^#+ (.+)$", prose(path), re.M)
    ]
    for path in [*CHAPTERS, ROOT / "book/pictures.ipynb"]
}


@pytest.mark.parametrize("module", MODULES)
def test_every_quoted_heading_of_a_chapter_exists(module):
    """``Chapter: 1, "The data"`` must name a heading, so that a reader finds it."""
    text = re.sub(r"\s+", " ", MODULES[module].read_text())
    for place in re.findall(r'Chapter: ((?:[^"]|"[^"]*")*?)(?=\."""|\. |$)', text):
        number = None
        for where in re.finditer(r'(?:(\d)|(the page)|(every setup cell)), "([^"]+)"', place):
            number = where[1] or where[2]
            stem = next(
                s for s in HEADINGS if s.startswith(f"0{number}_") or number == "the page" == s
            )
            assert any(h.startswith(where[4].rstrip("?")) for h in HEADINGS[stem]), where[0]


@pytest.mark.parametrize("module", MODULES)
def test_files_and_functions_are_short_enough_to_read(module):
    text = MODULES[module].read_text()
    tree = ast.parse(text)
    documented = (ast.ClassDef, ast.FunctionDef)
    told = [ast.get_docstring(n) or "" for n in ast.walk(tree) if isinstance(n, documented)]
    examples = [e for one in told for e in doctest.DocTestParser().get_examples(one)]
    shown = sum(e.source.count("\n") + e.want.count("\n") for e in examples)
    assert len(text.splitlines()) - shown <= 300  # examples are tests, which happen to stand here
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 40, f"{node.name} has {lines} lines"


def names_used(tree):
    """Every name that code uses: as a name, an attribute, an argument or an import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)


def code_of_notebooks():
    for path in (ROOT / "book").glob("*.ipynb"):
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "code":
                yield "".join(cell["source"])


def test_everything_public_is_used_by_the_book_or_the_package():
    """A function that no chapter, page, benchmark or other part of the package calls goes."""
    faces = [PACKAGE / face / "__init__.py" for face in FACES]
    code = [path.read_text() for path in PACKAGE.rglob("*.py") if path not in faces]
    code += [path.read_text() for path in (ROOT / "benchmarks").glob("*.py")]
    used = {name for text in [*code, *code_of_notebooks()] for name in names_used(ast.parse(text))}
    # Called by diffusers and pipelines, or there because a scheduler of theirs has it.
    used |= {"get_velocity", "scale_model_input", "previous_timestep"}
    unused = [name for name in PUBLIC if name.split(".")[-1] not in used]
    assert unused == []
