"""Generations as a person or a server asks for them: listed, frozen, compared, exported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..cache.generations import MOST_LISTED, Frozen, Generation
from ..cache.wire_generations import generation_to_json
from ..spaces.errors import UsageError
from . import freezing
from .freezing import Change
from .pinned import Pins


@dataclass(frozen=True, slots=True)
class Diff:
    """What became of the answers of one generation in another."""

    before: Generation
    after: Generation
    changes: tuple[Change, ...]  # what changed most comes first

    @property
    def counts(self) -> dict[str, int]:
        """How many changed in each way, and how many did not."""
        kinds = Counter(change.kind for change in self.changes)
        unchanged = self.before.answers - kinds["gone"] - kinds["changed"] - kinds["timed"]
        return {kind: kinds[kind] for kind in ("new", "gone", "changed", "timed")} | {"unchanged": unchanged}

    def as_json(self, most: int | None = None) -> dict[str, Any]:
        """As plain JSON values, with at most so many changes."""
        return {
            "before": generation_to_json(self.before),
            "after": generation_to_json(self.after),
            "counts": self.counts,
            "changes": [change.as_json() for change in self.changes[:most]],
        }


class GenerationServices:
    """The generations of one place. As safe to call from several threads as that; it owns what it is given."""

    def __init__(self, pins: Pins, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._pins = pins
        self._now = now

    def generations(self, before: int | None = None, limit: int = MOST_LISTED) -> list[Generation]:
        """At most `limit` with a smaller number than `before`, the newest first. Raises: StoreError, UsageError."""
        if not 1 <= limit <= MOST_LISTED:
            raise UsageError(f"limit is {limit}: 1 to {MOST_LISTED} generations are listed at once.")
        return self._pins.generations.generations(before, limit)

    def generation(self, number: int) -> Generation:
        """Raises: UnknownGeneration, StoreError."""
        return self._pins.generations.generation(number)

    def freeze(self, note: str, by: str) -> Frozen:
        """The winners as they are now; the newest generation where nothing changed since it.

        Raises: NoAnswer where there is no winner, UsageError for a note that is too long, StoreError.
        """
        return self._pins.generations.freeze(freezing.winners, by, note, self._now())

    def diff(self, before: int, after: int) -> Diff:
        """What became of the answers. Raises: UnknownGeneration, StoreError."""
        one, other = self._pins.at(before), self._pins.at(after)
        changes = freezing.changes(one.frozen(), other.frozen())
        return Diff(one.generation, other.generation, tuple(changes))

    def export(self, number: int, path: Path) -> int:
        """Write a generation to a file that answers lookups; its size in bytes.

        Raises: UnknownGeneration, StoreError.
        """
        from ..cache.generation_file import export

        pinned = self._pins.at(number)
        return export(pinned.generation, pinned.frozen(), path)

    def close(self) -> None:
        """Let go of what holds them. Idempotent."""
        self._pins.close()
