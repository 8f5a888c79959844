"""One notebook, three sizes: the choice stands in the reader's own line.

``epochs = by_budget(smoke=1, laptop=15, full=50)`` picks a value by the environment variable
``COURSE_BUDGET``. Taught in the introduction of the book and used by every chapter.
"""

import os
from typing import TypeVar

BUDGETS = ("smoke", "laptop", "overnight", "full")
"""The known budgets, which mean seconds on one core, minutes on a laptop, an hour or two on it for
a network of the gallery, and a GPU."""

T = TypeVar("T")


def current_budget() -> str:
    """The budget that this run was asked for.

    Returns:
        The value of the environment variable ``COURSE_BUDGET``, ``"laptop"`` where it is
        unset or empty.

    Raises:
        ValueError: The variable holds a name that is not one of `BUDGETS`.

    Example:
        >>> from course_utils import current_budget
        >>> current_budget()
        'laptop'
    """
    budget = os.environ.get("COURSE_BUDGET") or "laptop"
    if budget not in BUDGETS:
        raise ValueError(
            f"COURSE_BUDGET is {budget!r}, which is not a budget. "
            f"Set it to one of {', '.join(BUDGETS)}, or unset it for 'laptop'."
        )
    return budget


def by_budget(*, smoke: T, laptop: T, full: T) -> T:
    """Pick the value that belongs to the current budget.

    Args:
        smoke: The value that runs in seconds on one core; the tests use it.
        laptop: The value that runs in minutes on two cores; the rendered book shows it.
        full: The value of the source documents; wants a GPU.

    Returns:
        The one of the three that `current_budget` names, unchanged.

    Raises:
        ValueError: ``COURSE_BUDGET`` holds an unknown name, or the one that no chapter has.

    Example:
        >>> from course_utils import by_budget
        >>> by_budget(smoke=12, laptop=700, full=2500)
        700
    """
    values = {"smoke": smoke, "laptop": laptop, "full": full}
    budget = current_budget()
    if budget not in values:
        raise ValueError(
            f"COURSE_BUDGET is {budget!r}, which is for python -m course_utils train; chapters "
            f"have {', '.join(values)}."
        )
    return values[budget]
