"""What a body asks about, in the words of its op: a problem, a place, a policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from ..cache.checked import member, name, one_of, plain, shown, whole
from ..cache.records import CacheState, Match
from ..spaces.errors import UnknownName, UsageError
from ..spaces.targets import TOOLCHAIN_FIELDS
from ..templates.catalogue import op_named
from ..templates.op import Op
from .errors import quoted
from .parameters import MAX_FLAGS_CHARS, MAX_VALUE_CHARS

PLACE = ("device", "target")


@dataclass(frozen=True, slots=True)
class Asked:
    """A problem's words, checked one by one; whether they fit together the op says."""

    op: Op
    dims: Mapping[str, int]
    values: Mapping[str, Any]  # each field of the op, device, target, policy, each tool; None: not said


def asked_from(body: Mapping[str, Any], also: Sequence[str], what: str) -> Asked:
    """What this body says; null is as good as nothing. `also` are the words that the caller reads himself, tools among
    them where they may be stated; `what` names the body in errors.

    Raises: UsageError.
    """
    op = op_named(name(member(body, "op"), "op"))
    fields = [field.name for field in op.fields]
    known = ["op", "shape", *op.letters, *fields, *PLACE, "policy", *also]
    for word in body:
        if word not in known:
            raise UnknownName(quoted(word), f"a word of {what} of {op.name}", known)
    said = {word: value for word, value in body.items() if value is not None}
    values: dict[str, Any] = {word: _plain(said[word], word) for word in fields if word in said}
    values = dict.fromkeys((*fields, *TOOLCHAIN_FIELDS)) | values
    values |= dict.fromkeys(PLACE) | {"policy": "cold"}
    values |= {word: checked_word(word, said[word]) for word in (*PLACE, *TOOLCHAIN_FIELDS, "policy") if word in said}
    return Asked(op, _dims(op, said), values)


def checked_word(word: str, value: object) -> str:
    """A word about the place, its tools, the policy or the kind of match. Raises: UsageError."""
    choices: Mapping[str, tuple[str, ...]] = {"policy": get_args(CacheState), "min_match": get_args(Match)}
    if word in choices:
        return one_of(value, word, choices[word])
    return name(value, word, MAX_FLAGS_CHARS if word in ("compiler", "flags") else MAX_VALUE_CHARS)


def _plain(value: object, word: str) -> int | float | str | bool:
    if not isinstance(value, str | int | float):
        raise UsageError(f"{word} is {shown(value)}: it takes a word or a number.")
    return plain(value, word)


def _dims(op: Op, said: Mapping[str, Any]) -> dict[str, int]:
    """From the shape, or from each dim by its letter."""
    letters = [letter for letter in op.letters if letter in said]
    if "shape" not in said and not letters:
        raise UsageError(f"shape is missing: {op.shape_format}, such as {op.example}; or {', '.join(op.letters)}.")
    if "shape" not in said:
        return {letter: whole(member(said, letter), letter, least=1) for letter in op.letters}
    if letters:
        raise UsageError(f"shape and {letters[0]} were both given: leave one out.")
    return op.parse_shape(name(said["shape"], "shape"), where="shape")
