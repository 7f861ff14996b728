"""What digests name, in memory, SQLite and PostgreSQL alike."""

from __future__ import annotations

from contextlib import closing

import pytest
from contracts.evidence_contract import EvidenceContract
from kerntune.cache.database import Database
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_evidence import MemoryEvidence
from kerntune.cache.sql import SqlStore
from kerntune.cache.sql_evidence import SqlEvidence


class TestMemory(EvidenceContract):
    @pytest.fixture
    def store(self):
        return MemoryStore()

    @pytest.fixture
    def evidence(self, store):
        return MemoryEvidence(store)


class OverSql(EvidenceContract):
    @pytest.fixture
    def store(self, database):
        return SqlStore(database)

    @pytest.fixture
    def evidence(self, database):
        return SqlEvidence(database)


class TestSqlite(OverSql):
    @pytest.fixture
    def database(self, url):
        with closing(Database.open(url)) as database:
            yield database


@pytest.mark.postgres
class TestPostgresql(OverSql):
    @pytest.fixture
    def database(self, postgres_url):
        with closing(Database.open(postgres_url)) as database:
            yield database
