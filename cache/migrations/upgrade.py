"""Bring a database to the revision this kerntune speaks: made if empty, left alone if it is not ours."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from ...spaces.errors import StoreError
from ..schema import HEAD, VERSION_TABLE

ADVISORY_LOCK = 0x6B65726E74756E65
"""Number of PostgreSQL's lock under which one process migrates: "kerntune" in ASCII."""

_VERSION = text(f"SELECT version_num FROM {VERSION_TABLE}")


def bring_up_to_date(reader: Engine, writer: Engine, where: str, timeout_s: float) -> None:
    """Make or migrate the schema; one SELECT where there is nothing to do. Safe to run in many processes at once.

    `writer` begins transactions that lock out other writers. `where` names the database in messages.
    Raises: StoreError for a database that is not ours or from a newer kerntune; what SQLAlchemy raises.
    """
    if _version_or_none(reader) == HEAD:
        return
    with reader.connect() as connection:
        _pending(connection, where)
    if writer.dialect.name == "sqlite":
        _switch_to_wal(reader, timeout_s)
    with writer.begin() as connection:
        if writer.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": ADVISORY_LOCK})
        if _pending(connection, where):  # asked again: another process may have been first
            _migrate(connection)


def _version_or_none(engine: Engine) -> str | None:
    """The revision the database says it is at; None where it has no version table."""
    try:
        with engine.connect() as connection:
            version: str | None = connection.scalar(_VERSION)
            return version
    except DBAPIError as error:
        undefined_table = getattr(error.orig, "sqlstate", None) == "42P01" or "no such table" in str(error.orig)
        if undefined_table:
            return None
        raise


def _pending(connection: Connection, where: str) -> bool:
    """Whether there is something to migrate. Raises: StoreError for a database we must not touch."""
    names = inspect(connection).get_table_names()
    if VERSION_TABLE not in names:
        if names:
            raise StoreError(
                f"{where} is another program's database: it has tables ({', '.join(sorted(names)[:3])} …) but no "
                f"{VERSION_TABLE}. It was left as it is. Name another one by --db or KERNTUNE_DB."
            )
        return True
    version = connection.scalar(_VERSION)
    if version is not None and version > HEAD:
        raise StoreError(
            f"{where} was written by a newer kerntune (schema {version}, this one knows up to {HEAD}). It was left as "
            "it is. Upgrade: pip install --upgrade kerntune, or name another one by --db or KERNTUNE_DB."
        )
    return bool(version != HEAD)


def _switch_to_wal(engine: Engine, timeout_s: float) -> None:
    """Write-ahead log: readers and the writer do not wait for each other. The file remembers it."""
    deadline = time.monotonic() + timeout_s
    raw = engine.raw_connection()
    try:
        while True:
            try:
                raw.driver_connection.execute("PRAGMA journal_mode = WAL")  # type: ignore[union-attr]
                return
            except sqlite3.OperationalError as error:
                # The switch does not honour busy_timeout when another process makes it at the same moment.
                locked = error.sqlite_errorname.startswith("SQLITE_BUSY")
                if not locked or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
    finally:
        raw.close()


def _migrate(connection: Connection) -> None:
    from alembic import command  # 0.1 s of import that an up-to-date database never needs
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["configure"] = {"connection": connection, "version_table": VERSION_TABLE}
    command.upgrade(config, "head")
