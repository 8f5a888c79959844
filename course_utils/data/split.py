"""Some pictures are kept back, to judge by what was never learned from."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from course_utils.data.duplicates import THRESHOLD, find_duplicates
from course_utils.validate import check_whole

if TYPE_CHECKING:
    from datasets import Dataset


def hold_out(dataset: "Dataset", count: int, seed: int = 0) -> tuple["Dataset", "Dataset"]:
    """Split a data set in two, every label with the same share in both parts.

    Args:
        dataset: A data set with a ``label`` column of class indices.
        count: How many pictures to hold out, enough that each label's share is one at least.
        seed: Which split, the same one every time for the same seed.

    Returns:
        The pictures to train on, and the `count` held-out ones that training never sees.

    Raises:
        TypeError: `count` or `seed` is not a whole number.
        ValueError: `count` leaves one of the two parts without pictures of a label, which is
            named; or there are no labels, or `seed` is negative.

    Example:
        >>> from course_utils.data import hold_out, load_images
        >>> to_learn, to_judge = hold_out(load_images("digits", source="bundled"), count=600)
        digits, bundled with scikit-learn: 1,797 pictures of 10 classes: ...
        >>> len(to_learn), len(to_judge)
        (1197, 600)

    Source:
        ``datasets.Dataset.train_test_split``, which is scikit-learn's
        ``StratifiedShuffleSplit`` for data sets.

    Chapter: 1, "The data".
    """
    count, seed = _checked(dataset, count, seed)
    names = dataset.features["label"].names
    sizes = Counter(dataset["label"][:])  # labels without a picture have no share
    if not sizes or not len(sizes) <= count <= len(dataset) - len(sizes):
        raise ValueError(
            f"count is {count}; with {len(dataset)} pictures of {len(sizes)} labels it must "
            f"lie between {len(sizes)} and {len(dataset) - len(sizes)}."
        )
    rarest = min(sizes, key=sizes.__getitem__)
    if sizes[rarest] < 2:
        raise ValueError(
            f"There is one picture of {names[rarest]!r}, and both parts need one: add more of "
            "them, or leave them out."
        )
    parts = dataset.train_test_split(test_size=count, stratify_by_column="label", seed=seed)
    for part in ("train", "test"):
        for label in sizes.keys() - set(parts[part]["label"]):
            raise ValueError(
                f"count is {count}, and the share of {names[label]!r} is "
                f"{count * sizes[label] / len(dataset):.1f} of those: its {sizes[label]} pictures "
                f"among {len(dataset)} are too few for both parts. Choose another count, add "
                "pictures of it, or leave it out."
            )
    return parts["train"], parts["test"]


def hold_out_groups(
    dataset: "Dataset", groups: Sequence[Sequence[int]], count: int, seed: int = 0
) -> tuple["Dataset", "Dataset"]:
    """Split a data set in two so that copies of a picture stay together.

    As `course_utils.data.split.hold_out`, every label has its share in both parts. Groups go to one
    side whole, by the label of their first row, so that the number may come out smaller.

    Args:
        dataset: A data set with a ``label`` column of class indices.
        groups: Rows that belong together, as `find_duplicates` gives; rows in no group may
            go anywhere.
        count: How many pictures to hold out at most.
        seed: Which split, the same one every time for the same seed.

    Returns:
        The pictures to train on, and at most `count` held-out ones, without a copy between.

    Raises:
        TypeError: `count` or `seed` is not a whole number.
        ValueError: A row is in two groups or does not exist, or a label cannot have pictures
            on both sides; or there are no labels, or `seed` is negative.

    Example:
        >>> from course_utils.data import hold_out_groups, load_images
        >>> digits = load_images("digits", source="bundled")
        digits, bundled with scikit-learn: 1,797 pictures of 10 classes: ...
        >>> groups = [[0, 5], [7, 9, 11]]  # rows that must stay together
        >>> to_learn, to_judge = hold_out_groups(digits, groups, count=100)
        >>> len(to_learn) + len(to_judge) == len(digits)
        True

    Source:
        scikit-learn's ``StratifiedGroupKFold`` for the idea.

    Chapter: the page "The pictures", "Is every picture there once?".
    """
    count, seed = _checked(dataset, count, seed)
    # Our own: scikit-learn's StratifiedGroupKFold knows folds, no count that must not be passed,
    # and gives a label with few groups to one side alone; its GroupShuffleSplit has no strata.
    labels = np.array(dataset["label"][:])
    units = _units(len(labels), groups)
    units = [units[k] for k in np.random.default_rng(seed).permutation(len(units))]
    by_label: dict[int, list[list[int]]] = {}
    for unit in units:
        by_label.setdefault(int(labels[unit[0]]), []).append(unit)
    sizes = [sum(map(len, mine)) for mine in by_label.values()]
    quotas = np.diff(count * np.cumsum(sizes) // len(labels), prepend=0)  # they sum to count
    held: list[int] = []
    for (label, mine), quota in zip(by_label.items(), quotas.tolist(), strict=True):
        some = _fill(mine, quota)
        if not some:
            raise ValueError(
                f"count is {count}, which leaves {quota} pictures of "
                f"{dataset.features['label'].names[label]!r} to hold out. It comes in {len(mine)} "
                f"groups of copies, the smallest of {min(map(len, mine))}, and both sides need "
                "one: choose another count."
            )
        held += some
    learn = np.setdiff1d(np.arange(len(labels)), held)
    return dataset.select(learn), dataset.select(sorted(held))


def _checked(dataset: "Dataset", count: int, seed: int) -> tuple[int, int]:
    """The two numbers of a split; refuse others, and a data set without labels."""
    if "label" not in dataset.column_names:
        raise ValueError(
            f"The data set has no column 'label', only {dataset.column_names}; a split keeps the "
            "shares of the labels. Load it with load_images."
        )
    count, seed = check_whole("count", count), check_whole("seed", seed)
    if seed < 0:
        raise ValueError(f"seed is {seed}; use 0 or more.")
    return count, seed


def _fill(units: list[list[int]], quota: int) -> list[int]:
    """Rows of whole groups, as many as fit into the quota; the last group stays out."""
    taken: list[int] = []
    for unit in units[:-1]:
        if len(taken) + len(unit) <= quota:
            taken += unit
    return taken


def _units(count: int, groups: Sequence[Sequence[int]]) -> list[list[int]]:
    """Every row once: the groups, and each row that is in none as a group of its own."""
    grouped = [row for group in groups for row in group]
    if len(set(grouped)) < len(grouped) or not set(grouped) <= set(range(count)):
        wrong = [row for row in grouped if grouped.count(row) > 1 or row not in range(count)]
        raise ValueError(
            f"row {wrong[0]} of the groups is there twice or is none of the {count} rows; "
            "give the groups that find_duplicates found in this data set."
        )
    alone = sorted(set(range(count)) - set(grouped))
    return [list(group) for group in groups if len(group)] + [[row] for row in alone]


def leaked_share(to_learn: "Dataset", to_judge: "Dataset", threshold: float = THRESHOLD) -> float:
    """Tell which share of the held-out pictures has a copy among those to learn from.

    Args:
        to_learn: What a network is trained on, with an ``image`` column.
        to_judge: The held-out pictures, at least one, with an ``image`` column.
        threshold: The distance below which two are copies, as for `find_duplicates`.

    Returns:
        From 0 (a clean split) to 1 (each held-out picture was seen in training).

    Raises:
        ValueError: `to_judge` is empty, or one of the two has no ``image`` column.

    Example:
        >>> from course_utils.data import leaked_share, load_images
        >>> digits = load_images("digits", source="bundled").select(range(50))
        digits, bundled with scikit-learn: 1,797 pictures of 10 classes: ...
        >>> leaked_share(digits, digits.select([3, 4]))
        1.0

    Chapter: the page "The pictures", "Is every picture there once?".
    """
    from datasets import concatenate_datasets

    if len(to_judge) == 0:
        raise ValueError("There are no held-out pictures; hold some out first.")
    both = concatenate_datasets([part.select_columns("image") for part in (to_learn, to_judge)])
    leaked: set[int] = set()
    for group in find_duplicates(both, threshold):
        if group[0] < len(to_learn):
            leaked.update(row for row in group if row >= len(to_learn))
    return len(leaked) / len(to_judge)
