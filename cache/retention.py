"""Retention: what may be forgotten, and the port that forgets it. The rule is pure, and never changes a best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ..spaces.errors import UsageError
from .records import Record
from .rules import standing

MOST_KEYS = 10
"""Keys looked through in one transaction: other writers wait for it."""

MOST_EVENTS = 5000


@dataclass(frozen=True, slots=True)
class Keep:
    """What is kept: whatever is younger, and the best of every key and template."""

    older_than: datetime  # younger records are left alone
    best: int = 10  # configs of each key and template
    failures: bool = True  # also why configs failed, so that nobody tries them again

    def __post_init__(self) -> None:
        if self.best < 1:
            raise UsageError(f"--keep-best is {self.best}: the winner stays, so that it takes at least 1.")


@dataclass(frozen=True, slots=True)
class Removed:
    """What went, or would go."""

    rows: int = 0
    size_bytes: int = 0  # about: of the columns, without indexes

    def __add__(self, other: Removed) -> Removed:
        return Removed(self.rows + other.rows, self.size_bytes + other.size_bytes)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One step: what went, and where to go on; None after the last."""

    removed: Removed
    next: str | None


class Retention(Protocol):
    """Forgets records and events that are of no use any more, a bounded number in each transaction.

    Never the best of a key, by the rule of `winner`; nothing of a key that a generation names. Safe to call from
    several threads and processes. Every method raises StoreError where the database cannot be reached, and then changed
    nothing.
    """

    def sweep_records(self, keep: Keep, dry_run: bool = False, after: str | None = None) -> Chunk:
        """Remove what `superfluous` names of the next MOST_KEYS keys; go on with the chunk's `next`."""

    def sweep_events(self, older_than: datetime, dry_run: bool = False) -> Chunk:
        """Remove events of jobs that ended before, at most MOST_EVENTS; the jobs stay. A dry run counts them all."""

    def vacuum(self) -> int:
        """Give the room back to the disk where that is asked for by hand (SQLite); bytes that were freed."""

    def close(self) -> None:
        """Let go of connections. Idempotent."""


def superfluous(history: Sequence[Record], keep: Keep) -> list[Record]:
    """What may go of one key's records, in order of arrival: neither its best nor any template's changes by it.

    Of each template the best few configs stay, with their last record of search and of playoff. A failure that bars an
    older time of its config stays as long as that time does.
    """
    ordered = sorted(history, key=lambda record: record.recorded_at)
    gone: list[Record] = []
    for template in dict.fromkeys(record.template_digest for record in ordered):
        gone += _of_template([record for record in ordered if record.template_digest == template], keep)
    return gone


def _of_template(ordered: Sequence[Record], keep: Keep) -> list[Record]:
    kept = set(_first(keep.best, (record.config.digest for record in standing(ordered))))
    by_config: dict[str, list[Record]] = {}
    for record in ordered:
        by_config.setdefault(record.config.digest, []).append(record)
    gone: list[Record] = []
    for config, records in by_config.items():
        gone += _of_config(records, keep, config in kept)
    return gone


def _of_config(records: Sequence[Record], keep: Keep, is_kept: bool) -> list[Record]:
    """Of one config's records, the oldest first."""
    old = [record for record in records if record.recorded_at < keep.older_than]
    last = {record.phase: record for record in records} if is_kept else {}
    times = [r for r in old if r.measurement is not None and r is not last.get(r.phase)]
    staying = {id(r) for r in records if r.measurement is not None} - {id(r) for r in times}
    if keep.failures:
        return times
    newest = records[-1]
    barred = newest.measurement is None and bool(staying)  # the failure says that these times do not count
    return times + [r for r in old if r.measurement is None and not (r is newest and barred)]


def _first(count: int, digests: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(digests))[:count]
