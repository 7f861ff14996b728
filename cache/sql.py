"""SqlStore: the port over SQLite or PostgreSQL."""

from __future__ import annotations

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
from .location import Location, locate, prepare_file
from .memory import at_the_door, clean_name, clean_text
from .migrations.upgrade import bring_up_to_date
from .records import Incident, Record, RecordKey
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
from .wire import stamp_to_text

BUSY_TIMEOUT_S = 30.0
"""How long a write waits for other writers; one of ours holds the lock for about a millisecond."""

POSTGRES_CONNECT_TIMEOUT_S = 10

_ANOTHER = "name another one by --db or KERNTUNE_DB"

_SQLITE_TROUBLES = {
    "SQLITE_NOTADB": ("is not an SQLite database", f"It was left as it is: {_ANOTHER}."),
    "SQLITE_CORRUPT": (
        "is damaged",
        'Put a copy back, or save what can be read: sqlite3 FILE ".recover" | sqlite3 NEW, and name NEW by --db.',
    ),
    "SQLITE_READONLY": (
        "cannot be written",
        f"Look at owner and mode of the file and its folder (ls -l), or {_ANOTHER}.",
    ),
    "SQLITE_CANTOPEN": (
        "cannot be opened",
        f"Look at owner and mode of the file and its folder (ls -l), or {_ANOTHER}.",
    ),
    "SQLITE_FULL": ("has no room: the disk is full", f"Make room, or {_ANOTHER}. What was stored is safe."),
    "SQLITE_IOERR": (
        "was refused by the file system (disk full, quota, file-size limit or a failing disk)",
        f"Look at df, quota and ulimit -f, or {_ANOTHER}. What was stored is safe.",
    ),
    "SQLITE_BUSY": ("stayed locked by another process", "Try again, or see who holds it: fuser FILE."),
}
"""Leading words of SQLite's error name -> what is wrong, how to mend."""

_POSTGRES_TROUBLES = {
    "28": ("refused the user or the password", "Mend the URL (--db, KERNTUNE_DB) or pg_hba.conf."),
    "3D": ("has no such database", "Make it: createdb NAME."),
    "42501": ("refused permission", "Grant it, or use a database of which this user is the owner."),
    "25006": ("is read-only", "Name the primary server."),
    "53100": ("has no room: the disk is full", "Make room on the server. What was stored is safe."),
    "53": ("is out of connections or memory", "Try again, or raise max_connections."),
    "55P03": ("stayed locked by another session", "Try again, or see who holds it in pg_locks."),
    "57": ("is shutting down or starting", "Try again."),
    "XX": ("reports damage", "Read the server's log; put a backup back."),
    "08": ("cannot be reached", "Is it running, and are host and port in the URL (--db, KERNTUNE_DB) right?"),
}
"""Leading characters of SQLSTATE -> what is wrong, how to mend; the first that fits."""

_STATE_OF_REFUSAL = {
    "authentication failed": "28",
    "pg_hba.conf": "28",
    'role "': "28",
    'database "': "3D",
    "too many": "53",
    "starting up": "57",
    "shutting down": "57",
}
"""Words of a refused connection -> SQLSTATE, which libpq does not hand on there. Elsewhere than in English: 08."""


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
            .where(records.c.id.in_(_winner_ids(of_op)))
            .order_by(records.c.recorded_at, records.c.key_digest)
        )
        return self._read(query)

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


def explain(error: BaseException, where: str) -> StoreError:
    """The StoreError for what a driver raised: what is wrong, where, how to mend."""
    name, sqlstate = getattr(error, "sqlite_errorname", None), getattr(error, "sqlstate", None)
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    what, mend = "did not do as asked", "If it goes on, report it with this line."
    if isinstance(error, sqlite3.Error):
        troubles, code = _SQLITE_TROUBLES, name or ""
    else:
        troubles, code, where = _POSTGRES_TROUBLES, sqlstate or _state_of_refusal(str(error)), f"PostgreSQL at {where}"
    for start, (known_what, known_mend) in troubles.items():
        if code.startswith(start):
            what, mend = known_what, known_mend
            break
    return StoreError(f"{where} {what} ({said}). {mend}")


def _state_of_refusal(said: str) -> str:
    return next((state for words, state in _STATE_OF_REFUSAL.items() if words in said), "08")


def _winner_ids(condition: ColumnElement[bool]) -> Select[Any]:
    """Ids of the best record of each key among the records a condition names: the rule of `memory.winner`, in SQL."""
    r = records.c
    config = (r.key_digest, r.template_digest, r.config_digest)
    newest_first = (r.recorded_at.desc(), r.id.desc())
    aged = (
        select(
            r.id,
            *config,
            r.phase,
            r.outcome,
            r.median_us,
            func.first_value(r.outcome).over(partition_by=config, order_by=newest_first).label("last_outcome"),
            func.row_number().over(partition_by=(*config, r.phase), order_by=newest_first).label("age_in_phase"),
        )
        .where(condition)
        .subquery()
    )
    a = aged.c
    # "playoff" sorts before "search".
    best_first = (a.phase, a.median_us, a.config_digest, a.template_digest)
    ranked = (
        select(a.id, func.row_number().over(partition_by=a.key_digest, order_by=best_first).label("place"))
        .where(a.age_in_phase == 1, a.outcome == OK, a.last_outcome == OK)
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
