"""MemoryStore: the port in a dict."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from ..spaces.targets import Target
from .records import Incident, Record, RecordKey
from .rules import at_the_door, clean_name, clean_text, winner


class MemoryStore:
    """Records for as long as the process lives. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._records: dict[RecordKey, dict[Record, None]] = {}  # the inner dict is an ordered set
        self._incidents: list[tuple[RecordKey, Incident]] = []

    def add(self, record: Record) -> None:
        kept = at_the_door(record)
        with self._lock:
            self._records.setdefault(kept.key, {}).setdefault(kept)

    def add_incident(self, key: RecordKey, incident: Incident) -> None:
        with self._lock:
            self._incidents.append((key, Incident(clean_name(incident.kind), clean_text(incident.reason))))

    def best(self, key: RecordKey, template_digests: Sequence[str] = ()) -> Record | None:
        history = self._history(key)
        return winner(r for r in history if not template_digests or r.template_digest in template_digests)

    def records(self, key: RecordKey) -> list[Record]:
        return sorted(self._history(key), key=lambda record: record.recorded_at)

    def candidates(self, op: str, problem_digest: str | None = None) -> list[Record]:
        with self._lock:
            keys = [k for k in self._records if k.problem.op == op and problem_digest in (None, k.problem.digest)]
        digests = {key: {record.template_digest for record in self._history(key)} for key in keys}
        winners = [best for key in keys for digest in digests[key] if (best := self.best(key, [digest]))]
        return sorted(winners, key=lambda record: (record.recorded_at, record.key.digest, record.template_digest))

    def targets(self) -> list[Target]:
        with self._lock:
            found = {key.target.digest: key.target for key in self._records}
        return sorted(found.values(), key=lambda target: (target.name, target.digest))

    def close(self) -> None:
        """Nothing to let go of: the records stay."""

    def _history(self, key: RecordKey) -> list[Record]:
        with self._lock:
            return list(self._records.get(key, ()))
