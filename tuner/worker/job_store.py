"""JobStore: the store of one job's study. What is added is on its way to the server before `add` returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...cache.paging import MOST_PER_PAGE, Page
from ...cache.records import Incident, Record, RecordKey
from ...cache.rules import at_the_door, clean_name, clean_text, winner
from ...cache.spool import Spool
from ...cache.store import Store
from ...cache.wire_records import incident_to_json, record_digest, record_to_json
from ...spaces.targets import Target

RECORD, INCIDENT = "record", "incident"
"""What an entry of the spool holds, by its only name."""


class JobStore:
    """A local store, what the server knows of the job's key, and the spool that leads there.

    What the server knows stays out of the local store. Closing it closes nothing: the three have owners of their own.
    """

    def __init__(
        self, local: Store, spool: Spool, at_server: Sequence[Record] = (), appended: Callable[[], None] = lambda: None
    ) -> None:
        self._local, self._spool, self._appended = local, spool, appended
        self._at_server = {record_digest(record): record for record in at_server}

    def send_what_is_known(self, key: RecordKey) -> int:
        """Send what the local store has of a key and the server has not; how many records. Raises: StoreError."""
        own = [record for record in self._local.records(key) if record_digest(record) not in self._at_server]
        for record in own:
            self._spool.append({RECORD: record_to_json(record)})
        self._appended()
        return len(own)

    def add(self, record: Record) -> None:
        self.add_many([record])

    def add_many(self, records: Sequence[Record], /) -> int:
        for record in records:
            self._spool.append({RECORD: record_to_json(at_the_door(record))})
        self._appended()
        return self._local.add_many(records)

    def add_incident(self, key: RecordKey, incident: Incident) -> None:
        clean = Incident(clean_name(incident.kind), clean_text(incident.reason))
        self._spool.append({INCIDENT: incident_to_json(key, clean)})
        self._appended()
        self._local.add_incident(key, incident)

    def best(self, key: RecordKey, template_digests: Sequence[str] = ()) -> Record | None:
        return winner(r for r in self.records(key) if not template_digests or r.template_digest in template_digests)

    def records(self, key: RecordKey) -> list[Record]:
        known = {digest: record for digest, record in self._at_server.items() if record.key == key}
        own = {record_digest(record): record for record in self._local.records(key)}
        return sorted({**known, **own}.values(), key=lambda record: record.recorded_at)

    def candidates(self, op: str, problem_digest: str | None = None) -> list[Record]:
        return self._local.candidates(op, problem_digest)

    def page(
        self,
        op: str | None = None,
        problem_digest: str | None = None,
        target_digest: str | None = None,
        cursor: str | None = None,
        limit: int = MOST_PER_PAGE,
    ) -> Page:
        return self._local.page(op, problem_digest, target_digest, cursor, limit)

    def targets(self) -> list[Target]:
        return self._local.targets()

    def add_target(self, target: Target) -> None:
        self._local.add_target(target)

    def target(self, digest: str) -> Target | None:
        return self._local.target(digest)

    def close(self) -> None:
        """Nothing is its own."""
