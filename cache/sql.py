"""SqlStore: the port over SQLite or PostgreSQL."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Insert,
    Select,
    Table,
    and_,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..spaces.errors import StoreError
from ..spaces.targets import Target
from .location import Location, locate, prepare_file
from .migrations.upgrade import bring_up_to_date
from .records import Incident, Record, RecordKey
from .rules import at_the_door, clean_name, clean_text
from .tables import (
    OK,
    incidents,
    key_columns,
    problem_row,
    problems,
    record_from_row,
    record_row,
    records,
    target_row,
    targets,
)
from .troubles import explain
from .wire import stamp_to_text

BUSY_TIMEOUT_S = 30.0
"""How long a write waits for other writers; one of ours holds the lock for about a millisecond."""

POSTGRES_CONNECT_TIMEOUT_S = 10


class SqlStore:
    """Records in a database that several threads, processes and machines may use at once.

    Durable: SQLite flushes its log at each commit (synchronous = FULL), so an acknowledged record survives a power cut.
    """

    def __init__(self, engine: Engine, where: str) -> None:
        self._engine = engine
        self._writer = engine.execution_options(kerntune_writes=True)  # the same connections
        self._where = where
        self._pid = os.getpid()

    @classmethod
    def open(cls, url: str, busy_timeout_s: float = BUSY_TIMEOUT_S) -> SqlStore:
        """The store a SQLAlchemy URL names, made or migrated where it has to be. Raises: StoreError."""
        location = locate(url)
        if location.path:
            prepare_file(location.path)
        store = cls(_engine(location, busy_timeout_s), location.shown)
        try:
            with store._plain_errors():
                bring_up_to_date(store._engine, store._writer, location.shown, busy_timeout_s)
        except StoreError:
            store.close()
            raise
        return store

    def add(self, record: Record) -> None:
        kept = at_the_door(record)
        with self._transaction() as connection:
            self._insert_key(connection, kept.key)
            connection.execute(self._insert_new(records), record_row(kept))

    def add_incident(self, key: RecordKey, incident: Incident) -> None:
        row = {"kind": clean_name(incident.kind), "reason": clean_text(incident.reason)}
        with self._transaction() as connection:
            self._insert_key(connection, key)
            connection.execute(
                incidents.insert(), key_columns(key) | row | {"recorded_at": stamp_to_text(datetime.now(UTC))}
            )

    def best(self, key: RecordKey, template_digests: Sequence[str] = ()) -> Record | None:
        of_key = and_(records.c.problem_digest == key.problem.digest, records.c.key_digest == key.digest)
        if template_digests:
            of_key = and_(of_key, records.c.template_digest.in_(template_digests))
        found = self._read(select(records).where(records.c.id.in_(_winner_ids(of_key))), key)
        return found[0] if found else None

    def records(self, key: RecordKey) -> list[Record]:
        of_key = records.c.key_digest == key.digest
        return self._read(select(records).where(of_key).order_by(records.c.recorded_at, records.c.id), key)

    def candidates(self, op: str, problem_digest: str | None = None) -> list[Record]:
        of_op: ColumnElement[bool] = records.c.problem_digest.in_(select(problems.c.digest).where(problems.c.op == op))
        if problem_digest is not None:
            of_op = and_(of_op, records.c.problem_digest == problem_digest)
        query = (
            select(records, problems.c.json.label("problem_json"), targets.c.json.label("target_json"))
            .join(problems, problems.c.digest == records.c.problem_digest)
            .join(targets, targets.c.digest == records.c.target_digest)
            .where(records.c.id.in_(_winner_ids(of_op, by_template=True)))
            .order_by(records.c.recorded_at, records.c.key_digest, records.c.template_digest)
        )
        return self._read(query)

    def targets(self) -> list[Target]:
        used = select(records.c.target_digest).distinct()
        query = select(targets.c.json).where(targets.c.digest.in_(used)).order_by(targets.c.name, targets.c.digest)
        with self._plain_errors(), self._engine.connect() as connection:
            return [Target.from_dict(json.loads(text)) for text in connection.execute(query).scalars()]

    def close(self) -> None:
        self._engine.dispose(close=self._pid == os.getpid())

    def _read(self, query: Select[Any], key: RecordKey | None = None) -> list[Record]:
        with self._plain_errors(), self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        try:
            return [record_from_row(cast("dict[str, Any]", row), key) for row in rows]
        except StoreError as error:
            raise StoreError(f"{self._where}: {error}") from None

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """A transaction that is on disk when the block has ended."""
        with self._plain_errors(), self._writer.begin() as connection:
            yield connection

    def _insert_key(self, connection: Connection, key: RecordKey) -> None:
        # Every writer takes the tables in this order, so that no two wait for each other in a circle.
        connection.execute(self._insert_new(problems), problem_row(key))
        connection.execute(self._insert_new(targets), target_row(key))

    def _insert_new(self, table: Table) -> Insert:
        """INSERT that leaves a row of the same digest as it is."""
        if self._engine.dialect.name == "sqlite":
            return sqlite.insert(table).on_conflict_do_nothing(index_elements=["digest"])
        return postgresql.insert(table).on_conflict_do_nothing(index_elements=["digest"])

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """What the database complains of becomes a StoreError; its own words stay in `__cause__`."""
        if self._pid != os.getpid():
            self._engine.dispose(close=False)  # a fork: the connections are the parent's
            self._pid = os.getpid()
        try:
            yield
        except DBAPIError as error:
            raise explain(error.orig or error, self._where) from error.orig
        except sqlite3.Error as error:
            raise explain(error, self._where) from error
        except SQLAlchemyError as error:
            raise StoreError(f"{self._where} did not answer: {error}. Try again.") from None


def _winner_ids(condition: ColumnElement[bool], *, by_template: bool = False) -> Select[Any]:
    """Ids of the best record of each key (and template) among some records: the rule of `rules.winner`, in SQL."""
    r = records.c
    config = (r.key_digest, r.template_digest, r.config_digest)
    newest_first = (r.recorded_at.desc(), r.id.desc())
    aged = (
        select(
            r.id,
            *config,
            r.phase,
            r.outcome,
            r.ranked_us,
            func.first_value(r.outcome).over(partition_by=config, order_by=newest_first).label("last_outcome"),
            func.row_number().over(partition_by=(*config, r.phase), order_by=newest_first).label("age_in_phase"),
        )
        .where(condition)
        .subquery()
    )
    a = aged.c
    group = (a.key_digest, a.template_digest) if by_template else (a.key_digest,)
    # "playoff" sorts before "search".
    best_first = (a.phase, a.ranked_us, a.config_digest, a.template_digest)
    ranked = (
        select(a.id, func.row_number().over(partition_by=group, order_by=best_first).label("place"))
        .where(a.age_in_phase == 1, a.ranked_us.is_not(None), a.last_outcome == OK)
        .subquery()
    )
    return select(ranked.c.id).where(ranked.c.place == 1)


def _engine(location: Location, busy_timeout_s: float) -> Engine:
    """An engine that has not connected yet. Raises: StoreError if the driver is missing."""
    if location.path:
        engine = create_engine(location.url, connect_args={"timeout": busy_timeout_s}, max_overflow=-1)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        engine = create_engine(
            location.url,
            pool_pre_ping=True,  # a server may have been restarted since
            connect_args={"connect_timeout": POSTGRES_CONNECT_TIMEOUT_S},
        )
    except ImportError as error:
        raise StoreError(
            f"{location.shown} needs the PostgreSQL driver ({error}). Install it: pip install 'kerntune[postgres]'"
        ) from None

    def set_lock_timeout(connection: Any, _: object) -> None:
        connection.execute(f"SET lock_timeout = {round(busy_timeout_s * 1000)}")  # ms
        connection.commit()

    event.listen(engine, "connect", set_lock_timeout)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # or the driver begins transactions by itself, and too late
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: without it a flush stops in the disk's own cache
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: one that reads first and asks later is refused at once, despite busy_timeout.
    writes = connection.get_execution_options().get("kerntune_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
