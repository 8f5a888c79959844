"""The budget is chosen by one environment variable, and a wrong name is an error."""

import pytest

from course_utils import BUDGETS, by_budget, current_budget


@pytest.mark.parametrize(("budget", "expected"), [("smoke", 1), ("laptop", 2), ("full", 3)])
def test_by_budget_picks_the_value_of_the_current_budget(monkeypatch, budget, expected):
    monkeypatch.setenv("COURSE_BUDGET", budget)
    assert by_budget(smoke=1, laptop=2, full=3) == expected


@pytest.mark.parametrize("unset", [True, False])
def test_without_a_choice_it_is_laptop(monkeypatch, unset):
    if unset:
        monkeypatch.delenv("COURSE_BUDGET")
    else:
        monkeypatch.setenv("COURSE_BUDGET", "")
    assert current_budget() == "laptop"


def test_unknown_budget_lists_the_known_ones(monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "huge")
    with pytest.raises(ValueError, match="'huge'") as error:
        by_budget(smoke=1, laptop=2, full=3)
    assert all(name in str(error.value) for name in BUDGETS)


def test_a_chapter_has_no_overnight_size(monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "overnight")
    assert current_budget() == "overnight"
    with pytest.raises(ValueError, match="'overnight', which is for python -m course_utils train"):
        by_budget(smoke=1, laptop=2, full=3)


def test_values_must_be_named_and_complete():
    with pytest.raises(TypeError):
        by_budget(smoke=1, laptop=2)
