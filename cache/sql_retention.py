"""SqlRetention: the port over SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    Table,
    and_,
    bindparam,
    cast,
    delete,
    func,
    literal,
    select,
)

from ..spaces.errors import StoreError
from .database import Database
from .records import Record
from .retention import MOST_EVENTS, MOST_KEYS, Chunk, Keep, Removed, superfluous
from .service_tables import generation_answers, job_events, jobs
from .tables import problems, record_from_row, records, targets
from .wire import stamp_to_text


class SqlRetention:
    """Forgets rows of a database; who gave it closes it, or `close` does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> SqlRetention:
        """The retention of the database a SQLAlchemy URL names. Raises: StoreError."""
        return cls(Database.open(url))

    def sweep_records(self, keep: Keep, dry_run: bool = False, after: str | None = None) -> Chunk:
        with self._database.reading() if dry_run else self._database.transaction() as connection:
            keys = connection.execute(_keys_after(after)).scalars().all()
            gone: list[dict[str, Any]] = []
            for key in keys:
                gone += self._superfluous(connection, key, keep)
            newest = connection.scalar(select(func.max(records.c.id)))
            gone = [row for row in gone if row["id"] != newest]  # SQLite would give its number again
            if not dry_run:
                _delete(connection, records, [row["id"] for row in gone])
        removed = Removed(len(gone), sum(row["size_bytes"] for row in gone))
        return Chunk(removed, keys[-1] if len(keys) == MOST_KEYS else None)

    def sweep_events(self, older_than: datetime, dry_run: bool = False) -> Chunk:
        ended = select(jobs.c.id).where(jobs.c.finished_at < stamp_to_text(older_than))
        newest = select(func.max(job_events.c.id)).scalar_subquery()  # SQLite would give its number again
        of_ended = and_(job_events.c.job_id.in_(ended), job_events.c.id != newest)
        if dry_run:
            query = select(func.count(), func.coalesce(func.sum(_size(job_events)), 0)).where(of_ended)
            with self._database.reading() as connection:
                rows, size = connection.execute(query).one()
            return Chunk(Removed(int(rows), int(size)), None)
        with self._database.transaction() as connection:
            query = select(job_events.c.id, _size(job_events)).where(of_ended).limit(MOST_EVENTS)
            found = connection.execute(query.order_by(job_events.c.id)).all()
            _delete(connection, job_events, [row_id for row_id, _ in found])
        more = str(found[-1][0]) if len(found) == MOST_EVENTS else None
        return Chunk(Removed(len(found), sum(int(size) for _, size in found)), more)

    def vacuum(self) -> int:
        return self._database.vacuum()

    def close(self) -> None:
        self._database.close()

    def _superfluous(self, connection: Connection, key: str, keep: Keep) -> list[dict[str, Any]]:
        """Rows of one key that may go: id and bytes."""
        rows = connection.execute(_history_of(key)).mappings().all()
        by_record: dict[int, dict[str, Any]] = {}
        history: list[Record] = []
        for row in rows:
            try:
                record = record_from_row(dict(row))
            except StoreError as error:
                raise StoreError(f"{self._database.where}: {error}") from None
            history.append(record)
            by_record[id(record)] = {"id": row["id"], "size_bytes": int(row["size_bytes"])}
        return [by_record[id(record)] for record in superfluous(history, keep)]


def _keys_after(after: str | None) -> Select[Any]:
    """Digests of the next keys that no generation names."""
    frozen = select(generation_answers.c.key_digest)
    query = select(records.c.key_digest).distinct().where(records.c.key_digest.not_in(frozen))
    if after is not None:
        query = query.where(records.c.key_digest > after)
    return query.order_by(records.c.key_digest).limit(MOST_KEYS)


def _history_of(key: str) -> Select[Any]:
    """The records of a key in order of arrival, each with its bytes and the JSON of its key."""
    keyed = (problems.c.json.label("problem_json"), targets.c.json.label("target_json"))
    return (
        select(records, *keyed, _size(records).label("size_bytes"))
        .join(problems, problems.c.digest == records.c.problem_digest)
        .join(targets, targets.c.digest == records.c.target_digest)
        .where(records.c.key_digest == key)
        .order_by(records.c.recorded_at, records.c.id)
    )


def _delete(connection: Connection, table: Table, ids: Sequence[int]) -> None:
    if ids:
        statement = delete(table).where(table.c.id == bindparam("gone"))
        connection.execute(statement, [{"gone": row_id} for row_id in ids])


def _size(table: Table) -> ColumnElement[int]:
    """About the bytes of a row: the characters of its columns."""
    total: ColumnElement[int] = literal(0)
    for column in table.c:
        total = total + func.coalesce(func.length(cast(column, String)), 0)
    return total
