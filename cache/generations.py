"""Generations: the port to numbered, frozen sets of answers, and what they are made of. Pure but for the port."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

from ..spaces.canonical import DIGEST_CHARS, canonical_json
from ..spaces.errors import NoAnswer, UsageError
from .records import Answer, Record, RecordKey
from .rules import clean_name
from .wire import answer_from_json, answer_to_json

MOST_NOTE_CHARS = 1000
MOST_LISTED = 500

Rule = Callable[[Sequence[Record]], Sequence[Answer]]
"""The answer of each key, from the best record of every key and template: the lookup's own rule, handed in."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A numbered, frozen set of answers."""

    number: int  # from 1, each one more than the one before
    digest: str  # of the answers, without the number: databases that know the same winners agree
    created_at: datetime
    created_by: str
    note: str
    answers: int  # so many


@dataclass(frozen=True)
class FrozenAnswer:
    """An answer of a generation: canonical JSON that is given out for ever as it stands."""

    key_digest: str
    problem_digest: str
    op: str
    text: str

    @cached_property
    def answer(self) -> Answer:
        """What the text says. Raises: UsageError where it is no answer."""
        return answer_from_json(self.data)

    @property
    def data(self) -> dict[str, Any]:
        """The text as plain values, what a later kerntune says beside them included."""
        return _object(self.text)

    def with_values(self, values: Mapping[str, Any]) -> FrozenAnswer:
        """The same answer but for some values, which depend on who asks."""
        return replace(self, text=canonical_json({**self.data, **values}))


@dataclass(frozen=True, slots=True)
class Frozen:
    """What came of freezing."""

    generation: Generation
    is_new: bool  # False: nothing has changed since that generation, so it is given again


class Generations(Protocol):
    """Generations, kept for good: no record that comes later changes an answer of one.

    Safe to call from several threads and processes. Every method raises StoreError where the database cannot be
    reached, and then changed nothing; those that take a number raise UnknownGeneration for one there is not.
    """

    def freeze(self, rule: Rule, created_by: str, note: str, now: datetime) -> Frozen:
        """The answers that `rule` makes of one state of the store, under the next number, in one step.

        Where they are those of the newest generation, that one is given back. Raises: NoAnswer where there are none.
        """

    def generations(self, before: int | None = None, limit: int = MOST_LISTED) -> list[Generation]:
        """At most `limit` of those with a smaller number than `before`, the newest first."""

    def generation(self, number: int) -> Generation:
        """The generation of this number."""

    def frozen(self, number: int, problem_digest: str | None = None) -> list[FrozenAnswer]:
        """Its answers (to one problem, where named), in order of their keys' digests."""

    def close(self) -> None:
        """Let go of connections. Idempotent."""


def unnumbered(answers: Iterable[Answer]) -> list[FrozenAnswer]:
    """The answers as they are before they have a number, in order of their keys' digests.

    Raises: NoAnswer where there are none: ranks pinned to that would find nothing.
    """
    found = [frozen_from_text(canonical_json(answer_to_json(replace(answer, generation=None)))) for answer in answers]
    if not found:
        raise NoAnswer("there is no winner to freeze: tune something first.")
    return sorted(found, key=lambda frozen: frozen.key_digest)


def frozen_from_text(text: str) -> FrozenAnswer:
    """The frozen answer of a text. Raises: UsageError where it is no answer, or another text says the same."""
    data = _object(text)
    answer = answer_from_json(data)
    if canonical_json(data) != text:
        raise UsageError("an answer that is not canonical JSON.")
    key = RecordKey(answer.problem, answer.target, answer.policy)
    return FrozenAnswer(key.digest, key.problem.digest, key.problem.op, text)


def numbered(frozen: FrozenAnswer, number: int) -> FrozenAnswer:
    """The answer as one of this generation."""
    return frozen.with_values({"generation": number})


def digest_of(answers: Iterable[FrozenAnswer]) -> str:
    """Digest of answers in order of their keys' digests, whatever their number."""
    hashed = hashlib.sha256()
    for frozen in answers:
        hashed.update(frozen.with_values({"generation": None}).text.encode() + b"\n")
    return hashed.hexdigest()[:DIGEST_CHARS]


def generation_of(answers: Sequence[FrozenAnswer], number: int, by: str, note: str, now: datetime) -> Generation:
    """The generation of these answers. Raises: UsageError for a note that is too long."""
    if len(note) > MOST_NOTE_CHARS:
        raise UsageError(f"the note is {len(note):,} characters long: {MOST_NOTE_CHARS:,} are allowed (--note).")
    return Generation(number, digest_of(answers), now, clean_name(by), clean_name(note), len(answers))


def _object(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"no JSON: {error}.") from None
    if not isinstance(data, dict):
        raise UsageError("no JSON object.")
    return data
