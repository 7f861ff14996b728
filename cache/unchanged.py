"""Unchanged: what was read from a database, given again while nobody has committed anything to it since."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

MOST = 10_000
"""Kept at once; beyond that the oldest goes."""


class Unchanged(Generic[T]):
    """Readings by their words, each with the state of the database it was made from.

    `state` changes with whatever anyone commits. It is read before a reading is made, so that what is committed in
    between makes the reading old, never the other way. Safe to call from several threads: a race reads twice.
    """

    def __init__(self, state: Callable[[], str], most: int = MOST) -> None:
        self._state, self._most = state, most
        self._held: dict[Hashable, tuple[str, T]] = {}

    def get(self, words: Hashable, read: Callable[[], T]) -> T:
        """What was read for these words, or is read now."""
        state = self._state()
        held = self._held.get(words)
        if held is not None and held[0] == state:
            return held[1]
        value = read()
        self._held.pop(words, None)
        self._held[words] = state, value
        if len(self._held) > self._most:
            self._held.pop(next(iter(self._held)), None)
        return value
