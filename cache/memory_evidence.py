"""MemoryEvidence: the port over a MemoryStore."""

from __future__ import annotations

from .evidence import Match, Named, Trouble, order
from .memory import MemoryStore
from .records import Record, RecordKey
from .tables import record_row


class MemoryEvidence:
    """What digests name in a store in memory."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def matches(self, prefix: str) -> list[Match]:
        named = {
            Match(kind, digest, key)
            for key in self._store.known_keys()
            for record in self._store.records(key)
            for kind, digest in _digests(record).items()
            if digest.startswith(prefix)
        }
        return sorted(named, key=order)

    def record_digest(self, record: Record) -> str:
        return str(record_row(record)["digest"])

    def troubles(self, key: RecordKey) -> list[Trouble]:
        return [Trouble(incident, at) for known, incident, at in self._store.incidents() if known == key]

    def close(self) -> None:
        """Nothing to let go of."""


def _digests(record: Record) -> dict[Named, str]:
    """By what each is of."""
    return {
        "config": record.config.digest,
        "problem": record.key.problem.digest,
        "key": record.key.digest,
        "target": record.key.target.digest,
        "record": str(record_row(record)["digest"]),
    }
