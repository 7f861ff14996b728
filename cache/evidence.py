"""Evidence: the port to what a digest names, and to the troubles beside a key's records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from .records import Incident, Record, RecordKey

Named = Literal["config", "problem", "key", "target", "record"]
NAMED: tuple[Named, ...] = ("config", "problem", "key", "target", "record")


@dataclass(frozen=True, slots=True)
class Match:
    """A digest that begins as asked: of what, and a key that has records of it."""

    named: Named
    digest: str
    key: RecordKey


@dataclass(frozen=True, slots=True)
class Trouble:
    """An incident, and when."""

    incident: Incident
    at: datetime


class Evidence(Protocol):
    """What is known beside the records, read by digest.

    Safe to call from several threads and processes. Every method raises StoreError where the database cannot be
    reached.
    """

    def matches(self, prefix: str) -> list[Match]:
        """What the digests that begin so name, each with every key: by kind as in NAMED, then digest, then key."""

    def record_digest(self, record: Record) -> str:
        """The digest by which a record is named."""

    def troubles(self, key: RecordKey) -> list[Trouble]:
        """The incidents of exactly this key, oldest first."""

    def close(self) -> None:
        """Let go of connections. Idempotent."""


def order(match: Match) -> tuple[int, str, str]:
    """By kind, digest, key."""
    return NAMED.index(match.named), match.digest, match.key.digest
