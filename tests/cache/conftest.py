"""A store in an SQLite file of the test's own."""

from __future__ import annotations

from contextlib import closing

import pytest
from kerntune.cache.sql import SqlStore


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "k.db"


@pytest.fixture
def url(path):
    return f"sqlite:///{path}"


@pytest.fixture
def store(url):
    with closing(SqlStore.open(url)) as store:
        yield store
