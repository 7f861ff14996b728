"""What searches cost is kept in memory, SQLite and PostgreSQL alike."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from builders import a_key, a_record
from contracts.studies_contract import StudiesContract, a_study_log
from kerntune.cache.database import Database
from kerntune.cache.memory_studies import MemoryStudies
from kerntune.cache.sql import SqlStore
from kerntune.cache.sql_studies import SqlStudies
from kerntune.spaces.errors import StoreError


class TestMemory(StudiesContract):
    @pytest.fixture
    def studies(self):
        return MemoryStudies()


class TestSqlite(StudiesContract):
    @pytest.fixture
    def studies(self, url):
        with closing(SqlStudies.open(url)) as studies:
            yield studies


@pytest.mark.postgres
class TestPostgresql(StudiesContract):
    @pytest.fixture
    def studies(self, postgres_url):
        with closing(SqlStudies.open(postgres_url)) as studies:
            yield studies


def test_records_and_studies_share_a_database(url):
    """Both enter the problem and the target, whoever comes first."""
    with closing(Database.open(url)) as database:
        store, studies = SqlStore(database), SqlStudies(database)
        studies.add_study(a_study_log())
        store.add(a_record())
        assert store.records(a_key()) == [a_record()]
        assert studies.studies(a_key()) == [a_study_log()]


def test_a_damaged_row_says_which_and_how_to_mend_it(path, url):
    """No traceback of a parser."""
    with closing(SqlStudies.open(url)) as studies:
        studies.add_study(a_study_log())
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE studies SET templates = 'no json'")
        with pytest.raises(StoreError, match=r"row 1 of table studies is damaged.*DELETE FROM studies WHERE id = 1"):
            studies.studies(a_key())
