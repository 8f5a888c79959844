"""The package as a whole: light to import, no cycles, and documented down to the last argument."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "course_utils"
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")
# Parts that are folders, and their public modules.
FOLDERS = {
    name: sorted(path.stem for path in (PACKAGE / name).glob("[a-z]*.py"))
    for name in ("drawing", "training")
}
# Files by the name that they are imported under.
FILES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix().removesuffix("/__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

# Which part may import which: a part may use those of the lines above its own.
LAYERS = [
    {"budget", "folder", "drawing", "duplicates", "schedules", "unet_parts"},
    {"drawn", "sampling", "parameterisation", "unet"},
    {"sources", "scheduler_base"},
    {"data", "plotting", "player", "schedulers", "flow", "denoiser"},
    {"training", "evaluation"},
    {"diagram", "chapter", "cache", "card", "hub"},
    {"check"},
]
# The same inside the trainer.
TRAINING_LAYERS = [
    {"config", "checkpoints"},
    {"batches", "grids", "processes", "state"},
    {"loss", "output", "recipes"},
    {"loop"},
    {"__init__", "__main__"},
]


def imports_of(file):
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("course_utils."):
            yield node.module.split(".")[1]
        if isinstance(node, ast.ImportFrom) and node.module == "course_utils":
            yield from (name.name for name in node.names)
        if isinstance(node, ast.Import):
            yield from (
                n.name.split(".")[1] for n in node.names if n.name.startswith("course_utils.")
            )


def test_every_module_has_a_layer():
    assert sorted(set().union(*LAYERS)) == sorted([*MODULES, *FOLDERS])
    files = {path.stem for path in (PACKAGE / "training").glob("*.py")}
    assert set().union(*TRAINING_LAYERS) == files


def test_imports_run_one_way():
    level = {module: k for k, layer in enumerate(LAYERS) for module in layer}
    for name, file in FILES.items():
        module = name.split("/")[0]
        for used in set(imports_of(file)) - ({module} if module in FOLDERS else set()):
            assert level[used] < level.get(module, len(LAYERS)), f"{name} imports {used}"


def test_imports_inside_the_trainer_run_one_way():
    level = {module: k for k, layer in enumerate(TRAINING_LAYERS) for module in layer}
    for path in (PACKAGE / "training").glob("*.py"):
        for used in re.findall(r"course_utils\.training\.(\w+) import", path.read_text()):
            assert level[used] < level[path.stem], f"{path.stem} imports {used}"


def test_drawing_knows_nothing_else_of_ours_and_only_numpy_and_pillow():
    for name, file in FILES.items():
        if name.split("/")[0] == "drawing":
            assert set(imports_of(file)) <= {"drawing"}, name
    code = "import sys, course_utils.drawing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("heavy", ["torch", "diffusers", "datasets", "accelerate", "matplotlib"])
def test_importing_the_package_is_light(heavy):
    code = f"import sys, course_utils; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_sampling_and_evaluation_do_not_load_the_hugging_face_libraries():
    code = (
        "import sys, course_utils.sampling, course_utils.evaluation, course_utils.training;"
        "sys.exit(any(m in sys.modules for m in ('diffusers', 'datasets', 'accelerate')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def public_objects():
    for name in [*MODULES, *FOLDERS, *(f"{n}.{part}" for n in FOLDERS for part in FOLDERS[n])]:
        module = importlib.import_module(f"course_utils.{name}")
        for attribute, value in vars(module).items():
            if attribute.startswith("_") or getattr(value, "__module__", "") != module.__name__:
                continue
            if inspect.isfunction(value) or inspect.isclass(value):
                yield f"{name}.{attribute}", value
            if inspect.isclass(value):
                for method, function in vars(value).items():
                    if not method.startswith("_") and inspect.isfunction(function):
                        yield f"{name}.{attribute}.{method}", function


PUBLIC = dict(public_objects())


def test_there_is_something_to_document():
    assert len(PUBLIC) > 30


def parameters_of(thing):
    target = thing.__init__ if inspect.isclass(thing) else thing
    names = [name for name in inspect.signature(target).parameters if name != "self"]
    return [name for name in names if name not in ("args", "kwargs")]


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_is_complete(name):
    """Every argument, the result, the errors raised, the source and the chapter are told."""
    thing = PUBLIC[name]
    text = inspect.getdoc(thing)
    assert text, "no docstring"
    plain_class = inspect.isclass(thing) and (
        hasattr(thing, "__dataclass_fields__") or issubclass(thing, Exception)
    )
    section = "Attributes" if plain_class else "Args"
    if plain_class:
        own = inspect.get_annotations(thing)  # a parent tells its own fields itself
        wanted = [field for field in getattr(thing, "__dataclass_fields__", ()) if field in own]
    else:
        wanted = parameters_of(thing)
    for argument in wanted:
        assert re.search(rf"^    {argument}: ", text, re.M), f"{argument} is not told"
    assert not wanted or f"{section}:" in text
    source = inspect.getsource(thing)
    if not inspect.isclass(thing):
        returns = inspect.signature(thing).return_annotation
        assert (returns in (None, "None")) or "Returns:" in text
        assert ("Raises:" in text) or not re.search(r"^\s+raise \w", source, re.M)
    if not plain_class:
        assert "Source:" in text
        assert re.search(r"Chapter:", text)


@pytest.mark.parametrize("name", PUBLIC)
def test_type_hints_are_complete(name):
    thing = PUBLIC[name]
    target = thing.__init__ if inspect.isclass(thing) else thing
    for parameter in inspect.signature(target).parameters.values():
        if parameter.name not in ("self", "args", "kwargs"):
            assert parameter.annotation is not inspect.Parameter.empty
    if not inspect.isclass(thing):
        assert inspect.signature(thing).return_annotation is not inspect.Signature.empty


@pytest.mark.parametrize("module", FILES)
def test_files_and_functions_are_short_enough_to_read(module):
    text = FILES[module].read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 40, f"{node.name} has {lines} lines"


def test_everything_public_is_used_by_the_book():
    """A function that no chapter, page, test tool or other module uses does not belong here."""
    book = "".join(p.read_text() for p in (ROOT / "book").glob("*.ipynb"))
    code = "".join(p.read_text() for p in FILES.values())
    for name in PUBLIC:
        last = name.split(".")[-1]
        assert last in book or len(re.findall(rf"\b{last}\b", code)) > 1, name
