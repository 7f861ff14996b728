"""Studies: the port to what each search cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from .records import RecordKey
from .rules import clean_name


@dataclass(frozen=True, slots=True)
class StudyLog:
    """One search that has ended: how it searched, and what it cost. What it found is in the records of the key."""

    key: RecordKey
    started_at: datetime
    seconds: float  # of searching and of the playoff, opening the device included
    trials: int  # configs tried by it
    sampler: str
    seed: int
    stopped: str  # why it ended: trials, time, patience …
    templates: tuple[str, ...]  # names of those that competed
    recorded_by: str

    def at_the_door(self) -> StudyLog:
        """As it is kept: words cleaned, its stamp in UTC."""
        return replace(
            self,
            started_at=self.started_at.astimezone(UTC),
            sampler=clean_name(self.sampler),
            stopped=clean_name(self.stopped),
            templates=tuple(clean_name(name) for name in self.templates),
            recorded_by=clean_name(self.recorded_by),
        )


class Studies(Protocol):
    """What searches cost, kept for good.

    Safe to call from several threads and processes. Every method raises StoreError where the database cannot be
    reached, and then changed nothing.
    """

    def add_study(self, study: StudyLog) -> None:
        """Keep what a search cost. Adding the same one twice keeps it once."""

    def studies(self, key: RecordKey) -> list[StudyLog]:
        """Every search for exactly this key, oldest first."""

    def close(self) -> None:
        """Let go of connections. Idempotent."""
