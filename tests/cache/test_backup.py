"""The backups of docs/upkeep.md: one state of everything, made while others write."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from threading import Event, Thread

import pytest
from builders import a_key, a_record
from contracts.studies_contract import a_study_log
from kerntune.cache.database import Database
from kerntune.cache.sql import SqlStore
from kerntune.cache.sql_studies import SqlStudies


def backed_up(connection, copy):
    """As the shell's `.backup` does it."""
    with closing(sqlite3.connect(copy)) as target:
        connection.backup(target)


def vacuumed(connection, copy):
    connection.execute("VACUUM INTO ?", (str(copy),))


@pytest.mark.parametrize("way", [backed_up, vacuumed])
def test_a_copy_made_while_others_write_opens_and_has_what_was_acknowledged(way, store, path, tmp_path):
    """Whatever was added before it began."""
    store.add_many([a_record(config={"X": number}) for number in range(100)])
    stop = Event()

    def write():
        number = 100
        while not stop.wait(0.001):
            store.add(a_record(config={"X": number}))
            number += 1

    writer = Thread(target=write)
    writer.start()
    try:
        with closing(sqlite3.connect(path)) as connection:
            way(connection, tmp_path / "copy.db")
    finally:
        stop.set()
        writer.join()
    with closing(SqlStore.open(f"sqlite:///{tmp_path / 'copy.db'}")) as copy:
        kept = {record.config["X"] for record in copy.records(a_key())}
    assert set(range(100)) <= kept
    assert kept == set(range(len(kept)))


@pytest.mark.postgres
def test_a_dump_is_restored_as_it_was(postgres_url, tmp_path):
    """Records and studies, over what was written since."""
    plain, dump = postgres_url.replace("+psycopg", ""), tmp_path / "kerntune.dump"
    with closing(Database.open(postgres_url)) as database:
        store = SqlStore(database)
        store.add(a_record())
        SqlStudies(database).add_study(a_study_log())
        subprocess.run(["pg_dump", "--format=custom", f"--file={dump}", plain], check=True)
        store.add(a_record(config={"LATER": 1}))
    subprocess.run(["pg_restore", "--clean", "--if-exists", f"--dbname={plain}", str(dump)], check=True)
    with closing(Database.open(postgres_url)) as database:
        assert SqlStore(database).records(a_key()) == [a_record()]
        assert SqlStudies(database).studies(a_key()) == [a_study_log()]
