"""SqlEvidence: the port over SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Column, select

from .database import Database
from .evidence import Match, Named, Trouble, order
from .records import Incident, Record, RecordKey
from .tables import incidents, key_from_row, problems, record_row, records, targets
from .wire import stamp_from_text

COLUMNS: Mapping[Named, Column[str]] = {
    "config": records.c.config_digest,
    "problem": records.c.problem_digest,
    "key": records.c.key_digest,
    "target": records.c.target_digest,
    "record": records.c.digest,
}


class SqlEvidence:
    """What digests name in a database; who gave it closes it, or `close` does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> SqlEvidence:
        """The evidence in the database a SQLAlchemy URL names. Raises: StoreError."""
        return cls(Database.open(url))

    def matches(self, prefix: str) -> list[Match]:
        found = []
        with self._database.reading() as connection:
            for named, column in COLUMNS.items():
                query = (
                    select(
                        column.label("found"),
                        records.c.policy_cache,
                        records.c.policy_launch,
                        problems.c.json.label("problem_json"),
                        targets.c.json.label("target_json"),
                    )
                    .distinct()
                    .join(problems, problems.c.digest == records.c.problem_digest)
                    .join(targets, targets.c.digest == records.c.target_digest)
                    .where(column.startswith(prefix, autoescape=True))
                )
                rows = connection.execute(query).mappings().all()
                found += [Match(named, row["found"], key_from_row(dict(row))) for row in rows]
        return sorted(found, key=order)

    def record_digest(self, record: Record) -> str:
        return str(record_row(record)["digest"])

    def troubles(self, key: RecordKey) -> list[Trouble]:
        query = select(incidents).where(incidents.c.key_digest == key.digest)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(incidents.c.recorded_at, incidents.c.id)).mappings().all()
        return [Trouble(Incident(row["kind"], row["reason"]), stamp_from_text(row["recorded_at"])) for row in rows]

    def close(self) -> None:
        self._database.close()
