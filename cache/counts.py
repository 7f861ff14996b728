"""Counts: how much is kept, for those who watch a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a database holds."""

    records: int
    jobs: Mapping[str, int]  # by state
    misses: int  # look-ups that found nothing
    missed_keys: int


class Counting(Protocol):
    """Counts what is kept. Safe to call from several threads."""

    def counts(self) -> Counts:
        """Counted now. Raises: StoreError."""

    def close(self) -> None:
        """Let go of connections. Idempotent."""
