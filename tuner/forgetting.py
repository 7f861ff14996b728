"""Forgetting: old measurements, events and binaries that are of no use any more go, a chunk at a time."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..cache.retention import Chunk, Keep, Removed, Retention
from ..spaces.errors import UsageError
from . import settings, wiring
from .backends.binary_cache import BinaryCache

DAY_S = 86400.0
UNITS_S = {"h": 3600.0, "d": DAY_S, "w": 7 * DAY_S}


@dataclass(frozen=True, slots=True)
class ForgetRequest:
    """What may go."""

    older_than_s: float = 90 * DAY_S
    keep_best: int = 10
    failures: bool = False
    binaries: bool = False
    vacuum: bool = False
    dry_run: bool = False
    db_url: str | None = None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What went, or would go."""

    before: datetime  # what is older
    records: Removed
    events: Removed
    binaries: Removed
    freed_bytes: int | None  # of the database's file; None where it was not vacuumed
    interrupted: bool = False


def seconds_of(text: str) -> float:
    """Seconds of 90d, 12h or 2w. Raises: UsageError."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([hdw])", text.strip())
    if match is None:
        raise UsageError(f'--older-than is "{text[:40]}": it takes hours, days or weeks, as 12h, 90d or 8w.')
    return float(match[1]) * UNITS_S[match[2]]


def run(request: ForgetRequest, now: datetime | None = None) -> Forgotten:
    """Forget what is old, in the database and the folder that the settings name. Raises: UsageError, StoreError."""
    config = settings.read()
    with closing(wiring.open_retention(config, request.db_url)) as retention:
        return forget(request, retention, wiring.binary_cache(config), now or datetime.now(UTC))


def forget(request: ForgetRequest, retention: Retention, binaries: BinaryCache, now: datetime) -> Forgotten:
    """Chunk by chunk; Ctrl-C ends it between two."""
    before = now - timedelta(seconds=request.older_than_s)
    keep = Keep(before, request.keep_best, not request.failures)
    records, events, compiled, freed, interrupted = Removed(), Removed(), Removed(), None, False
    try:
        chunk = Chunk(Removed(), "")
        while chunk.next is not None:
            chunk = retention.sweep_records(keep, request.dry_run, chunk.next or None)
            records += chunk.removed
        chunk = Chunk(Removed(), "")
        while chunk.next is not None:
            chunk = retention.sweep_events(before, request.dry_run)
            events += chunk.removed
        if request.binaries:
            with closing(binaries):
                used = binaries.remove_unused(before.timestamp(), request.dry_run)
            compiled = Removed(used.entries, used.size_bytes)
        if request.vacuum and not request.dry_run:
            freed = retention.vacuum()
    except KeyboardInterrupt:
        interrupted = True
    return Forgotten(before, records, events, compiled, freed, interrupted)
