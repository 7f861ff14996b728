"""SqlStudies: the port over SQLite or PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from ..spaces.canonical import digest
from ..spaces.errors import StoreError
from .database import Database
from .records import RecordKey
from .service_tables import studies
from .studies import StudyLog
from .tables import key_columns, problem_row, problems, target_row, targets
from .wire import stamp_from_text, stamp_to_text


class SqlStudies:
    """What searches cost, in a database; who gave it closes it, or `close` does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> SqlStudies:
        """The studies in the database a SQLAlchemy URL names. Raises: StoreError."""
        return cls(Database.open(url))

    def add_study(self, study: StudyLog) -> None:
        kept = study.at_the_door()
        with self._database.transaction() as connection:
            # In the order in which SqlStore takes these tables, so that no two writers wait for each other.
            connection.execute(self._database.insert_new(problems), problem_row(kept.key))
            connection.execute(self._database.insert_new(targets), target_row(kept.key.target))
            connection.execute(self._database.insert_new(studies), _row(kept))

    def studies(self, key: RecordKey) -> list[StudyLog]:
        query = select(studies).where(studies.c.key_digest == key.digest).order_by(studies.c.started_at, studies.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [self._study(dict(row), key) for row in rows]

    def close(self) -> None:
        self._database.close()

    def _study(self, row: Mapping[str, Any], key: RecordKey) -> StudyLog:
        try:
            return StudyLog(
                key=key,
                started_at=stamp_from_text(row["started_at"]),
                templates=tuple(map(str, json.loads(row["templates"]))),
                **{name: row[name] for name in ("seconds", "trials", "sampler", "seed", "stopped", "recorded_by")},
            )
        except (ValueError, TypeError) as error:
            raise StoreError(
                f"{self._database.where}: row {row['id']} of table studies is damaged: {type(error).__name__} {error}. "
                f"Remove it: DELETE FROM studies WHERE id = {row['id']}."
            ) from None


def _row(study: StudyLog) -> dict[str, Any]:
    """A study as a row of `studies`; its `digest` is that of every other column, so equal ones are one row."""
    row = {
        **key_columns(study.key),
        "started_at": stamp_to_text(study.started_at),
        "seconds": float(study.seconds),
        "trials": study.trials,
        "sampler": study.sampler,
        "seed": study.seed,
        "stopped": study.stopped,
        "templates": json.dumps(list(study.templates)),
        "recorded_by": study.recorded_by,
    }
    return {**row, "digest": digest(row)}
