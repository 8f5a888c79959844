"""A setting of a run with its bounds: `TrainingConfig` is made of these."""

import math
from dataclasses import Field, field
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin


def setting(
    default: Any,
    *,
    at_least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    at_most: str | None = None,
    needs: str | None = None,
    may_change: bool = False,
) -> Any:
    """A field of a dataclass that knows which values it can have.

    Args:
        default: Its value where none is given.
        at_least: The smallest value.
        above: A number that it must exceed.
        below: A number that it must stay under.
        at_most: Another field, whose value it must not exceed.
        needs: Another field, without which it must be None.
        may_change: Whether a run can be resumed with another value: it decides no number.

    Returns:
        What `dataclasses.field` returns, with the rest as its metadata.
    """
    bounds = {"at_least": at_least, "above": above, "below": below, "at_most": at_most}
    return field(default=default, metadata=bounds | {"needs": needs, "may_change": may_change})


def check_setting(config: Any, field: Field[Any], kind: Any) -> None:
    """Refuse a value that a setting cannot have.

    Args:
        config: The dataclass with all settings.
        field: The setting, made by `setting`.
        kind: Its type: int, float, bool, str or a Literal, or one of them or None; of a whole
            number, two of them, for height and width, may be another way to give it.

    Raises:
        ValueError: Names the setting, its value, and what it must be.
    """
    value = getattr(config, field.name)
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    optional, pair = NoneType in kinds, tuple[int, int] in kinds
    kind = next(t for t in kinds if t is not NoneType)
    if value is None and optional:
        return
    limit = field.metadata["at_most"] and getattr(config, field.metadata["at_most"])
    parts = value if pair and isinstance(value, tuple) and len(value) == 2 else (value,)
    if not all(_is_a(kind, part) and _is_within(part, field.metadata, limit) for part in parts):
        choices = [*_in_words(kind, field.metadata, limit), *(["None"] if optional else [])]
        choices[1:1] = ["two of those for height and width"] * pair
        rule = " or ".join([", ".join(choices[:-1]), choices[-1]]) if choices[1:] else choices[0]
        raise ValueError(f"{field.name} is {value!r}; it must be {rule}.")
    needs = field.metadata["needs"]
    if needs is not None and getattr(config, needs) is None:
        raise ValueError(f"{field.name} is {value!r}; it must be None where {needs} is None.")


def _is_a(kind: Any, value: Any) -> bool:
    """Whether a value has a type; True and False are no numbers, and infinity is none either."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:
        numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
        return numeric and math.isfinite(value)
    if kind is str:
        return isinstance(value, str) and value.strip() != ""
    return type(value) is kind


def _is_within(value: Any, bounds: Any, limit: float | None) -> bool:
    """Whether a value lies within its bounds."""
    return (
        (bounds["at_least"] is None or value >= bounds["at_least"])
        and (bounds["above"] is None or value > bounds["above"])
        and (bounds["below"] is None or value < bounds["below"])
        and (limit is None or value <= limit)
    )


def _in_words(kind: Any, bounds: Any, limit: float | None) -> tuple[str, ...]:
    """What a value must be; more than one where there is a choice."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    nouns = {int: "a whole number", float: "a number", str: "a name", bool: "True or False"}
    words = [
        f"{bound.replace('_', ' ')} {bounds[bound]:g}"
        for bound in ("at_least", "above", "below")
        if bounds[bound] is not None
    ]
    if limit is not None:
        words.append(f"at most {bounds['at_most']}, which is {limit}")
    return (f"{nouns[kind]} {' and '.join(words)}".rstrip(),)
