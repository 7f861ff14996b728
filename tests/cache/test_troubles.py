"""What a database refuses is said plainly, and nothing of it is changed."""

from __future__ import annotations

import sqlite3
import sys
import time
from contextlib import closing
from threading import Timer

import pytest
from builders import a_key, a_record
from kerntune.cache import sql
from kerntune.cache.records import Failure
from kerntune.cache.schema import HEAD
from kerntune.cache.sql import SqlStore
from kerntune.cache.troubles import explain
from kerntune.spaces.errors import StoreError


def test_a_missing_driver_is_told_how_to_be_installed(monkeypatch):
    """The extra is one word away."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"postgresql://u:\*\*\*@h/d needs .* pip install 'kerntune\[postgres\]'"):
        SqlStore.open("postgresql://u:secret@h/d")


def test_a_server_that_is_not_there_is_told_plainly(monkeypatch):
    """No state means that no server spoke."""
    message = str(explain(ConnectionError("connection refused\nIs the server running?"), "postgresql://u:***@h/d"))
    assert message.startswith(
        "PostgreSQL at postgresql://u:***@h/d cannot be reached (connection refused). Is it running"
    )


def test_a_database_without_room_takes_no_more_and_keeps_what_it_has(store):
    """SQLITE_FULL, as on a full disk; with room again the store goes on."""
    store.add(a_record(config={"number": 0}))
    with store._database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    large = a_record(config={"number": 1}, failure=Failure("compile", "x" * 100_000))
    with pytest.raises(StoreError, match="the disk is full"):
        store.add(large)
    assert store.records(a_key()) == [a_record(config={"number": 0})]
    with store._database.reading() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    store.add(large)
    assert len(store.records(a_key())) == 2


def test_a_locked_database_is_waited_for_and_then_told(url, path):
    """The time to wait is the caller's; reads are not held up by a writer."""
    with closing(SqlStore.open(url, busy_timeout_s=0.2)) as store, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        with pytest.raises(StoreError, match=r"k\.db stayed locked by another process .*Try again"):
            store.add(a_record())
        assert 0.1 < time.monotonic() - start < 5
        assert store.best(a_key()) is None
        other.rollback()
        store.add(a_record())


def test_opening_waits_for_another_process_that_makes_the_same_database(url, path):
    """SQLite refuses the switch to WAL at once while another process writes; opening tries again until time is up."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="stayed locked"):
            SqlStore.open(url, busy_timeout_s=0.2)
        release = Timer(0.2, other.rollback)
        release.start()
        SqlStore.open(url).close()
        release.join()


def test_a_file_that_is_no_database_is_left_as_it_is(url, path):
    """Somebody's notes are not overwritten."""
    path.parent.mkdir()
    path.write_text("my notes\n" * 1000)
    with pytest.raises(StoreError, match=r"k\.db is not an SQLite database .*left as it is"):
        SqlStore.open(url)
    assert path.read_text() == "my notes\n" * 1000


def test_another_programs_database_is_left_as_it_is(url, path):
    """Not a byte changes, not even its journal mode."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"k\.db is another program's database: it has tables \(theirs"):
        SqlStore.open(url)
    assert path.read_bytes() == before


def test_a_database_of_a_newer_kerntune_is_left_as_it_is(url, path):
    """An older program does not understand it, so it does not touch it."""
    SqlStore.open(url).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE kerntune_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"newer kerntune .schema 9999, this one knows up to {HEAD}.*pip install"):
        SqlStore.open(url)
    assert path.read_bytes() == before


def test_a_damaged_database_is_told_how_to_be_saved(url, path):
    """Pages overwritten with noise."""
    with closing(SqlStore.open(url)) as store:
        for number in range(50):
            store.add(a_record(config={"number": number}))
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\xa5" * (len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"k\.db is damaged .*\.recover"), closing(SqlStore.open(url)) as store:
        store.records(a_key())


def test_a_damaged_row_is_told_by_its_number(store, path):
    """The message names the row and the statement that removes it."""
    store.add(a_record())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE records SET samples_us = '[]'")
    with pytest.raises(
        StoreError, match=r"k\.db: row 1 of table records is damaged: .*DELETE FROM records WHERE id = 1"
    ):
        store.best(a_key())


def test_a_file_that_may_not_be_written_can_still_be_read(store):
    """A lookup needs no right to write; an add says which right is missing."""
    store.add(a_record())
    store.close()
    assert store.best(a_key(sm_count=1)) is None  # a connection watches from now on, the other one serves
    with store._database.reading() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")  # what SQLite answers for a read-only file, for root too
    assert store.best(a_key()) == a_record()
    with pytest.raises(StoreError, match=r"k\.db cannot be written .*owner and mode"):
        store.add(a_record(minutes=1))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SQLITE_CANTOPEN_ISDIR", "cannot be opened"),
        ("SQLITE_READONLY_DBMOVED", "cannot be written"),
        ("SQLITE_IOERR_FSYNC", "was refused by the file system"),
        ("SQLITE_BUSY_SNAPSHOT", "stayed locked"),
        ("SQLITE_CORRUPT_INDEX", "is damaged"),
        ("SQLITE_ERROR", "did not do as asked"),
    ],
)
def test_every_word_of_sqlite_is_explained(name, words):
    """What, where, the driver's own line, how to mend."""
    error = sqlite3.OperationalError("driver's line")
    error.sqlite_errorname = name
    assert str(explain(error, "/k.db")).startswith(f"/k.db {words}")
    assert "(driver's line). " in str(explain(error, "/k.db"))


@pytest.mark.parametrize(
    ("sqlstate", "words"),
    [
        ("28P01", "refused the user or the password"),
        ("3D000", "has no such database"),
        ("42501", "refused permission"),
        ("25006", "is read-only"),
        ("53100", "has no room"),
        ("53300", "is out of connections"),
        ("55P03", "stayed locked"),
        ("57P03", "is shutting down or starting"),
        ("XX001", "reports damage"),
        ("08006", "cannot be reached"),
        ("42703", "did not do as asked"),
    ],
)
def test_every_state_of_postgresql_is_explained(sqlstate, words):
    """By SQLSTATE, so in whatever language the server speaks."""
    error = RuntimeError("driver's line")
    error.sqlstate = sqlstate
    assert str(explain(error, "postgresql://h/d")).startswith(f"PostgreSQL at postgresql://h/d {words}")


def test_a_folder_in_place_of_the_file_is_told(url, path):
    """Refused by the system before SQLite sees it, or by SQLite: a StoreError in either case."""
    path.mkdir(parents=True)
    with pytest.raises(StoreError, match=r"k\.db cannot be "):
        SqlStore.open(url)


def test_sqlalchemy_is_not_heard_of(store, monkeypatch):
    """Whatever it raises becomes a StoreError."""
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    def no_connection():
        raise PoolTimeout("QueuePool limit reached")

    monkeypatch.setattr(store._database._engine, "connect", no_connection)
    with pytest.raises(StoreError, match="did not answer: QueuePool limit reached"):
        store.best(a_key())
    assert sql.StoreError is StoreError
