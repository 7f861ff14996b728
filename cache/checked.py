"""Values of foreign JSON, checked and bounded: each check gives the value, or a UsageError that names the field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, TypeVar

from ..spaces.canonical import DIGEST_CHARS
from ..spaces.errors import UsageError
from .refusals import printable

LARGEST_WHOLE = 2**63 - 1
"""Largest integer that a database column, and any JSON reader, takes."""

_DIGEST = re.compile(f"[0-9a-f]{{{DIGEST_CHARS}}}")

T = TypeVar("T")


def shown(value: object) -> str:
    """A foreign value as an error may repeat it."""
    return printable(repr(value) if isinstance(value, str | int | float | None) else type(value).__name__, 60)


def member(data: Mapping[str, Any], name: str, where: str = "") -> Any:
    """A value by name. Raises: UsageError where it is missing."""
    if name not in data:
        raise UsageError(f"{where}{name} is missing.")
    return data[name]


def mapping(value: object, where: str, most: int = 1000) -> Mapping[str, Any]:
    """A JSON object."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} is {shown(value)}: it takes a JSON object.")
    if len(value) > most:
        raise UsageError(f"{where} has {len(value):,} entries: {most:,} are allowed.")
    return value


def listed(value: object, where: str, most: int, check: Callable[[Any, str], T]) -> tuple[T, ...]:
    """A JSON list of checked values."""
    if not isinstance(value, list | tuple):
        raise UsageError(f"{where} is {shown(value)}: it takes a JSON list.")
    if len(value) > most:
        raise UsageError(f"{where} has {len(value):,} entries: {most:,} are allowed.")
    return tuple(check(entry, f"{where}[{place}]") for place, entry in enumerate(value))


def text(value: object, where: str, most_chars: int) -> str:
    """Words of any kind; control characters are the store's matter (`rules.at_the_door`)."""
    if not isinstance(value, str):
        raise UsageError(f"{where} is {shown(value)}: it takes text.")
    if len(value) > most_chars:
        raise UsageError(f"{where} is {len(value):,} characters long: {most_chars:,} are allowed.")
    return value


def name(value: object, where: str, most_chars: int = 200) -> str:
    """Words on one line, without control characters: they are part of an identity, so nothing is cleaned away."""
    said = text(value, where, most_chars)
    if not said.isprintable() or not said.strip():
        raise UsageError(f"{where} is {shown(said)}: it takes words without control characters.")
    return said


def is_digest(value: object) -> bool:
    """Whether `canonical.digest` can have made it."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def digest(value: object, where: str) -> str:
    """A digest as `canonical.digest` makes it."""
    if not isinstance(value, str) or not is_digest(value):
        raise UsageError(f"{where} is {shown(value)}: a digest is {DIGEST_CHARS} of 0-9 and a-f.")
    return value


def one_of(value: object, where: str, known: Sequence[T]) -> T:
    """One of some words."""
    for word in known:
        if type(value) is type(word) and value == word:
            return word
    raise UsageError(f"{where} is {shown(value)}: it is one of {', '.join(map(str, known))}.")


def truth(value: object, where: str) -> bool:
    """True or false."""
    return one_of(value, where, (True, False))


def whole(value: object, where: str, least: int = -LARGEST_WHOLE, most: int = LARGEST_WHOLE) -> int:
    """An integer within bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"{where} is {shown(value)}: it takes an integer from {least:,} to {most:,}.")
    return value


def number(value: object, where: str, least: float, most: float) -> float:
    """A number within bounds, as a float."""
    fits = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
    if not fits or not isfinite(value):  # type: ignore[arg-type]  # mypy does not follow `fits`
        raise UsageError(f"{where} is {shown(value)}: it takes a number from {least:g} to {most:g}.")
    return float(value)  # type: ignore[arg-type]


def document(value: object, where: str, most_chars: int, most_depth: int = 16) -> Mapping[str, Any]:
    """A JSON object of anything, nested no deeper than this and as text no longer."""
    said = mapping(value, where)
    level: list[Any] = [said]
    for _ in range(most_depth):
        level = [entry for outer in level for entry in (outer.values() if isinstance(outer, Mapping) else outer)]
        level = [entry for entry in level if isinstance(entry, Mapping | list | tuple)]
    if level:
        raise UsageError(f"{where} is nested deeper than {most_depth} levels.")
    if (chars := len(json.dumps(value))) > most_chars:
        raise UsageError(f"{where} is {chars:,} characters long: {most_chars:,} are allowed.")
    return said


def plain(value: object, where: str, most_chars: int = 200) -> int | float | str | bool:
    """A number, a word, true or false; of the type it has."""
    if isinstance(value, str):
        return value if value == "" else name(value, where, most_chars)
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return number(value, where, -1e300, 1e300)
    return whole(value, where)
