"""MemoryStore: the port in a dict."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Lock

from ..spaces.targets import Target
from .paging import MOST_PER_PAGE, Page, checked_limit, cursor_after, row_id_of
from .records import Incident, Record, RecordKey
from .rules import at_the_door, clean_name, clean_text, winner


class MemoryStore:
    """Records for as long as the process lives. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._records: dict[RecordKey, dict[Record, None]] = {}  # the inner dict is an ordered set
        self._arrived: list[Record | None] = []  # None: forgotten since; cursors are places in it
        self._targets: dict[str, Target] = {}
        self._bests: dict[str, Record | None] = {}  # by the key's digest, once it was asked for
        self._incidents: list[tuple[RecordKey, Incident, datetime]] = []

    def add(self, record: Record) -> None:
        self.add_many([record])

    def add_many(self, records: Sequence[Record], /) -> int:
        cleaned = [at_the_door(record) for record in records]
        with self._lock:
            return sum(map(self._is_new, cleaned))

    def add_incident(self, key: RecordKey, incident: Incident) -> None:
        with self._lock:
            cleaned = Incident(clean_name(incident.kind), clean_text(incident.reason))
            self._incidents.append((key, cleaned, datetime.now(UTC)))

    def best(self, key: RecordKey, template_digests: Sequence[str] = ()) -> Record | None:
        if template_digests:
            return winner(r for r in self._history(key) if r.template_digest in template_digests)
        try:
            return self._bests[key.digest]
        except KeyError:
            with self._lock:  # or a record that comes in between would be overlooked for good
                best = self._bests[key.digest] = winner(self._records.get(key, ()))
            return best

    def records(self, key: RecordKey) -> list[Record]:
        return sorted(self._history(key), key=lambda record: record.recorded_at)

    def candidates(self, op: str, problem_digest: str | None = None) -> list[Record]:
        with self._lock:
            keys = [k for k in self._records if k.problem.op == op and problem_digest in (None, k.problem.digest)]
        digests = {key: {record.template_digest for record in self._history(key)} for key in keys}
        winners = [best for key in keys for digest in digests[key] if (best := self.best(key, [digest]))]
        return sorted(winners, key=lambda record: (record.recorded_at, record.key.digest, record.template_digest))

    def every_candidate(self) -> list[Record]:
        """The best record of every key and template of all ops, as they are at one moment."""
        with self._lock:
            histories = [list(history) for history in self._records.values()]
        found = []
        for history in histories:
            for digest in sorted({record.template_digest for record in history}):
                best = winner(record for record in history if record.template_digest == digest)
                found += [best] if best else []
        return found

    def page(
        self,
        op: str | None = None,
        problem_digest: str | None = None,
        target_digest: str | None = None,
        cursor: str | None = None,
        limit: int = MOST_PER_PAGE,
    ) -> Page:
        start, most = row_id_of(cursor), checked_limit(limit)
        with self._lock:
            arrived = list(enumerate(self._arrived[start:], start + 1))
        found = [
            (number, record)
            for number, record in arrived
            if record is not None
            and op in (None, record.key.problem.op)
            and problem_digest in (None, record.key.problem.digest)
            and target_digest in (None, record.key.target.digest)
        ]
        more = cursor_after(found[most - 1][0]) if len(found) > most else None
        return Page(tuple(record for _, record in found[:most]), more)

    def targets(self) -> list[Target]:
        with self._lock:
            found = {key.target.digest: key.target for key in self._records}
        return sorted(found.values(), key=lambda target: (target.name, target.digest))

    def add_target(self, target: Target) -> None:
        with self._lock:
            self._targets[target.digest] = target

    def target(self, digest: str) -> Target | None:
        with self._lock:
            return self._targets.get(digest)

    def close(self) -> None:
        """Nothing to let go of: the records stay."""

    def incidents(self) -> list[tuple[RecordKey, Incident, datetime]]:
        """Every trouble, oldest first, and when it was noted."""
        with self._lock:
            return list(self._incidents)

    def known_keys(self) -> list[RecordKey]:
        """Every key a record is of."""
        with self._lock:
            return [key for key, of_key in self._records.items() if of_key]

    def discard(self, gone: Sequence[Record]) -> None:
        """Forget these records."""
        named = {id(record) for record in gone}
        with self._lock:
            for key in {record.key for record in gone}:
                self._records[key] = {record: None for record in self._records[key] if id(record) not in named}
                self._bests.pop(key.digest, None)
            self._arrived = [None if id(record) in named else record for record in self._arrived]

    def _is_new(self, record: Record) -> bool:
        """Keep it; whether it was not kept before."""
        of_key = self._records.setdefault(record.key, {})
        if record in of_key:
            return False
        of_key[record] = None
        self._bests.pop(record.key.digest, None)
        self._arrived.append(record)
        self._targets[record.key.target.digest] = record.key.target
        return True

    def _history(self, key: RecordKey) -> list[Record]:
        with self._lock:
            return list(self._records.get(key, ()))
