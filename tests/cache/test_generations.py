"""Generations keep the port's laws in memory, SQLite and PostgreSQL, and agree with each other byte for byte."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from builders import A_STAMP, a_key, a_problem, a_record
from contracts.generations_contract import GenerationsContract, freeze, texts
from kerntune.cache.database import Database
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_generations import MemoryGenerations
from kerntune.cache.sql import SqlStore
from kerntune.cache.sql_generations import SqlGenerations
from kerntune.spaces.errors import StoreError

TESTS = Path(__file__).parents[1]

FREEZER = """
import sys
from contextlib import closing
from builders import a_key, a_problem, a_record
from contracts.generations_contract import freeze
from kerntune.cache.database import Database
from kerntune.cache.sql import SqlStore
from kerntune.cache.sql_generations import SqlGenerations
with closing(Database.open(sys.argv[1])) as database:
    store, generations = SqlStore(database), SqlGenerations(database)
    print("ready", flush=True)
    sys.stdin.readline()
    for m in range(8):
        store.add(a_record(a_key(a_problem(m=16 + m, n=int(sys.argv[2])))))
        print(freeze(generations).number, flush=True)
"""
"""A process that adds a record and freezes, eight times, once it is told to begin."""


class TestMemory(GenerationsContract):
    @pytest.fixture
    def store(self):
        return MemoryStore()

    @pytest.fixture
    def generations(self, store):
        return MemoryGenerations(store)


class _OfDatabase(GenerationsContract):
    @pytest.fixture
    def store(self, database):
        return SqlStore(database)

    @pytest.fixture
    def generations(self, database):
        return SqlGenerations(database)


class TestSqlite(_OfDatabase):
    @pytest.fixture
    def database(self, url):
        with closing(Database.open(url)) as database:
            yield database

    def test_processes_that_freeze_at_once_lose_nothing(self, url):
        """Two ranks, or a person and a nightly job."""
        processes_freeze_at_once(url)


@pytest.mark.postgres
class TestPostgresql(_OfDatabase):
    @pytest.fixture
    def database(self, postgres_url):
        with closing(Database.open(postgres_url)) as database:
            yield database

    def test_processes_that_freeze_at_once_lose_nothing(self, postgres_url):
        """Two machines, or a person and a nightly job."""
        processes_freeze_at_once(postgres_url)


def processes_freeze_at_once(url):
    """Three processes, each with records of its own: every number once, every state of the store whole."""
    run = [sys.executable, "-c", FREEZER, url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": TESTS}
    freezers = [subprocess.Popen([*run, str(n)], **pipes) for n in (8, 16, 32)]
    assert [freezer.stdout.readline() for freezer in freezers] == ["ready\n"] * 3
    for freezer in freezers:
        freezer.stdin.write("\n")
        freezer.stdin.flush()
    said = [freezer.communicate(timeout=120)[0].split() for freezer in freezers]
    assert [freezer.returncode for freezer in freezers] == [0, 0, 0]
    assert all(list(map(int, numbers)) == sorted(map(int, numbers)) for numbers in said)
    with closing(SqlGenerations.open(url)) as generations:
        known = generations.generations()
        assert [one.number for one in known] == list(range(len(known), 0, -1))
        assert {int(number) for numbers in said for number in numbers} <= {one.number for one in known}
        counts = [one.answers for one in reversed(known)]
        assert counts == sorted(counts)
        assert counts[-1] == 24
        assert all(len(generations.frozen(one.number)) == one.answers for one in known)


def known_to(store):
    for m in (16, 64, 32):
        store.add(a_record(a_key(a_problem(m=m)), us=(1 / m, 2 / m)))


def test_a_second_opening_reads_the_same_bytes(url):
    """A restart changes nothing."""
    with closing(Database.open(url)) as database:
        known_to(SqlStore(database))
        made = freeze(SqlGenerations(database))
        before = texts(SqlGenerations(database), 1)
    with closing(SqlGenerations.open(url)) as again:
        assert (again.generation(1), texts(again, 1)) == (made, before)


def test_a_damaged_row_says_which_and_how_to_mend_it(path, url):
    """No traceback of a parser."""
    with closing(Database.open(url)) as database:
        known_to(SqlStore(database))
        generations = SqlGenerations(database)
        freeze(generations)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE generations SET created_at = 'once'")
        with pytest.raises(StoreError, match="row 1 of table generations is damaged"):
            generations.generation(1)


@pytest.mark.postgres
def test_databases_that_know_the_same_winners_agree(url, postgres_url):
    """In the digest and in every byte, whichever kind they are and whatever else they know."""
    memory = MemoryStore()
    known_to(memory)
    remembered = MemoryGenerations(memory)
    made, said = [freeze(remembered)], [texts(remembered, 1)]
    for one in (url, postgres_url):
        with closing(Database.open(one)) as database:
            store, generations = SqlStore(database), SqlGenerations(database)
            store.add(a_record(a_key(a_problem(m=16)), {"BLOCK_M": 256}, us=99.0))  # no winner
            known_to(store)
            made.append(freeze(generations))
            said.append(texts(generations, 1))
    assert made[0].created_at == A_STAMP
    assert made[0] == made[1] == made[2]
    assert said[0] == said[1] == said[2]
