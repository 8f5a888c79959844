"""The examples in the docstrings: what a reader would call has one, and it is true."""

import doctest
import importlib
import inspect

import matplotlib.pyplot as plt
import pytest

import course_utils
from tests.test_package import FACES

SHAPE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# What functions give back, and errors: nobody calls these.
GIVEN = {"Chapter", "Samples", "StepOutput", "Reading", "Stage", "TrainingRun", "Recipe"}
GIVEN |= {"Judgement", "Row", "Spread", "TwoSample", "Drawn", "Opened", "Plan", "Look"}
# Needs an account and a network; tests/share/test_hub.py sends to a Hub on loopback.
ELSEWHERE = {"push_to_hub"}


def called_by_readers():
    """What the faces offer to be called: functions and classes, with those of the gallery."""
    faces = [course_utils, *(importlib.import_module(f"course_utils.{name}") for name in FACES)]
    for face in faces:
        for name in face.__all__:
            thing = getattr(face, name)
            if inspect.ismodule(thing) and thing.__name__.endswith("gallery"):
                yield from ((f"gallery.{n}", getattr(thing, n)) for n in ("names", "load"))
            elif inspect.isfunction(thing) or inspect.isclass(thing):
                yield name, thing


def needs_one(name, thing):
    if inspect.isclass(thing):
        protocol = getattr(thing, "_is_protocol", False)
        return not (protocol or issubclass(thing, Exception) or name in GIVEN)
    return name not in ELSEWHERE


OFFERED = {name: thing for name, thing in called_by_readers() if needs_one(name, thing)}


def examples_of(thing):
    return doctest.DocTestParser().get_examples(inspect.getdoc(thing) or "")


def test_every_function_that_a_reader_would_call_has_an_example():
    without = {name for name, thing in OFFERED.items() if not examples_of(thing)}
    assert without == set()


@pytest.mark.parametrize("name", [n for n, thing in OFFERED.items() if examples_of(thing)])
def test_the_example_is_true(name, tmp_path, monkeypatch):
    """In an empty folder, at the budget that readers have, with nothing else defined."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSE_BUDGET", "laptop")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    text, told = inspect.getdoc(OFFERED[name]), []
    example = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    result = doctest.DocTestRunner(optionflags=SHAPE).run(example, out=told.append)
    plt.close("all")
    assert result.failed == 0, "".join(told)
    assert result.attempted >= 2
    names = " ".join(e.source for e in example.examples)
    assert name.split(".")[-1] in names, "the example does not use what it is the example of"
    imports = [e.source for e in example.examples if "from course_utils" in e.source]
    faces = {line.split()[1].removeprefix("course_utils.") for line in imports}
    assert faces <= {"course_utils", *FACES}, "an example imports from the faces, as readers do"
