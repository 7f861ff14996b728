"""Trials: configs tried, as a face shows and counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..cache.records import Measurement, Record


@dataclass(frozen=True, slots=True)
class Trial:
    """One config tried, as a progress view sees it."""

    record: Record
    best: Record | None


@dataclass(frozen=True, slots=True)
class Counts:
    """What came of the configs tried; rejected: refused by a limit before they ran."""

    measured: int
    failed: int
    rejected: int

    @staticmethod
    def of(records: Sequence[Record]) -> Counts:
        """Counts of distinct configs; of several records of one, the latest says what came of it."""
        latest = {(record.template_digest, record.config.digest): record.outcome for record in records}
        kinds = Counter("ok" if isinstance(outcome, Measurement) else outcome.kind for outcome in latest.values())
        return Counts(kinds["ok"], kinds.total() - kinds["ok"] - kinds["constraints"], kinds["constraints"])
