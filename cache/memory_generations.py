"""MemoryGenerations: the port beside a MemoryStore."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Lock

from .generations import (
    MOST_LISTED,
    Frozen,
    FrozenAnswer,
    Generation,
    Rule,
    generation_of,
    numbered,
    unnumbered,
)
from .memory import MemoryStore
from .refusals import unknown_generation


class MemoryGenerations:
    """Generations of a store, for as long as the process lives. Safe to call from several threads."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._lock = Lock()
        self._kept: list[tuple[Generation, tuple[FrozenAnswer, ...]]] = []

    def freeze(self, rule: Rule, created_by: str, note: str, now: datetime) -> Frozen:
        with self._lock:
            answers = unnumbered(rule(self._store.every_candidate()))
            number = len(self._kept) + 1
            made = generation_of(answers, number, created_by, note, now.astimezone(UTC))
            if self._kept and self._kept[-1][0].digest == made.digest:
                return Frozen(self._kept[-1][0], is_new=False)
            self._kept.append((made, tuple(numbered(frozen, number) for frozen in answers)))
            return Frozen(made, is_new=True)

    def generations(self, before: int | None = None, limit: int = MOST_LISTED) -> list[Generation]:
        with self._lock:
            known = [generation for generation, _ in reversed(self._kept)]
        return [one for one in known if before is None or one.number < before][:limit]

    def generation(self, number: int) -> Generation:
        return self._entry(number)[0]

    def frozen(self, number: int, problem_digest: str | None = None) -> list[FrozenAnswer]:
        return [one for one in self._entry(number)[1] if problem_digest in (None, one.problem_digest)]

    def close(self) -> None:
        """Nothing to let go of: they stay."""

    def _entry(self, number: int) -> tuple[Generation, tuple[FrozenAnswer, ...]]:
        with self._lock:
            if not 1 <= number <= len(self._kept):
                raise unknown_generation(number, len(self._kept))
            return self._kept[number - 1]
