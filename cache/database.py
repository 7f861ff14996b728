"""Database: SQLite or PostgreSQL, opened once and shared by all that is kept there."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, cast

from sqlalchemy import Connection, Engine, Insert, PoolProxiedConnection, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..spaces.errors import StoreError
from .location import Location, locate, prepare_file
from .migrations.upgrade import bring_up_to_date
from .troubles import explain

BUSY_TIMEOUT_S = 30.0
"""How long a write waits for other writers; one of ours holds the lock for about a millisecond."""

POSTGRES_CONNECT_TIMEOUT_S = 10


class Database:
    """A database that several threads, processes and machines may use at once.

    Durable: SQLite flushes its log at each commit (synchronous = FULL), so what was acknowledged survives a power cut.
    What the database complains of is raised as StoreError, and then nothing was changed.
    """

    def __init__(self, engine: Engine, where: str) -> None:
        self._engine = engine
        self._writer = engine.execution_options(kerntune_writes=True)  # the same connections
        self.where = where
        self._pid = os.getpid()
        self._watched: PoolProxiedConnection | None = None
        self._watching: sqlite3.Cursor | None = None  # of it
        self._watch_lock = Lock()

    @classmethod
    def open(cls, url: str, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Database:
        """The database a SQLAlchemy URL names, made or migrated where it has to be. Raises: StoreError."""
        location = locate(url)
        if location.path:
            prepare_file(location.path)
        opened = cls(_engine(location, busy_timeout_s), location.shown)
        try:
            with opened.plain_errors():
                bring_up_to_date(opened._engine, opened._writer, location.shown, busy_timeout_s)
        except StoreError:
            opened.close()
            raise
        return opened

    @property
    def dialect(self) -> str:
        """sqlite or postgresql."""
        return self._engine.dialect.name

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database; what is written on it is rolled back."""
        with self.plain_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that is on disk when the block has ended; an error inside undoes all of it.

        In SQLite it holds the only lock for writers from the start, so what it reads is still true when it writes.
        """
        with self.plain_errors(), self._writer.begin() as connection:
            yield connection

    def insert_new(self, table: Table, *columns: str) -> Insert:
        """INSERT that leaves a row with the same `columns` (default: digest) as it is."""
        unique = list(columns or ("digest",))
        if self.dialect == "sqlite":
            return sqlite.insert(table).on_conflict_do_nothing(index_elements=unique)
        return postgresql.insert(table).on_conflict_do_nothing(index_elements=unique)

    def state(self) -> str:
        """Changes with whatever anyone commits, in this process or another; sometimes without. Some 10 to 100 µs.

        SQLite counts commits of other connections for a connection that is kept (PRAGMA data_version); PostgreSQL
        says which transactions have ended (pg_current_snapshot).
        """
        watching = self._watching
        if watching is not None and self._pid == os.getpid():
            try:  # this is asked at every look-up: what can be left out here is
                with self._watch_lock:
                    return str(watching.execute("PRAGMA data_version").fetchone()[0])
            except sqlite3.Error as error:
                raise explain(error, self.where) from error
        with self.plain_errors(), self._watch_lock:
            if self._engine.dialect.name != "sqlite":
                with self._engine.connect() as connection:
                    return str(connection.scalar(text("SELECT pg_current_snapshot()")))
            if self._watching is None:
                self._watched = self._engine.raw_connection()  # outside of any transaction, or it would see one state
                self._watching = cast("sqlite3.Cursor", self._watched.cursor())
            return str(self._watching.execute("PRAGMA data_version").fetchone()[0])

    def vacuum(self) -> int:
        """Give the file's unused pages back to the disk: bytes freed. PostgreSQL does so by itself: none.

        SQLite writes the file anew, which needs as much room again, and all others wait meanwhile.
        """
        if self.dialect != "sqlite":
            return 0
        with self.plain_errors():
            connection = self._engine.raw_connection()  # outside of any transaction
            try:
                cursor = connection.cursor()
                before = _file_bytes(cursor)
                cursor.execute("VACUUM")
                return before - _file_bytes(cursor)
            finally:
                connection.close()

    def close(self) -> None:
        """Let go of connections. Idempotent."""
        with self._watch_lock:
            if self._watched is not None and self._pid == os.getpid():
                self._watched.close()
            self._watched = self._watching = None
        self._engine.dispose(close=self._pid == os.getpid())

    @contextmanager
    def plain_errors(self) -> Iterator[None]:
        """What the database complains of becomes a StoreError; its own words stay in `__cause__`."""
        if self._pid != os.getpid():
            self._engine.dispose(close=False)  # a fork: the connections are the parent's
            self._watched = self._watching = None
            self._pid = os.getpid()
        try:
            yield
        except DBAPIError as error:
            raise explain(error.orig or error, self.where) from error.orig
        except sqlite3.Error as error:
            raise explain(error, self.where) from error
        except SQLAlchemyError as error:
            raise StoreError(f"{self.where} did not answer: {error}. Try again.") from None


def _file_bytes(cursor: Any) -> int:
    """Bytes of an SQLite database's pages, used or not."""
    return math.prod(int(cursor.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size"))


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
