"""Keys are kept in memory, SQLite and PostgreSQL alike."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from contracts.keys_contract import KeysContract, an_api_key
from kerntune.cache.keys import SCOPES, granted, id_of, sha256_of
from kerntune.cache.memory_keys import MemoryKeys
from kerntune.cache.sql_keys import SqlKeys
from kerntune.spaces.errors import StoreError


class TestMemory(KeysContract):
    @pytest.fixture
    def keys(self):
        return MemoryKeys()


class TestSqlite(KeysContract):
    @pytest.fixture
    def keys(self, url):
        with closing(SqlKeys.open(url)) as keys:
            yield keys


@pytest.mark.postgres
class TestPostgresql(KeysContract):
    @pytest.fixture
    def keys(self, postgres_url):
        with closing(SqlKeys.open(postgres_url)) as keys:
            yield keys


@pytest.mark.parametrize(
    ("scopes", "allows"),
    [
        ((), set()),
        (("read",), {"read"}),
        (("submit",), {"submit", "read"}),
        (("record",), {"record", "read"}),
        (("admin",), set(SCOPES)),
    ],
)
def test_a_scope_allows_what_it_includes(scopes, allows):
    """Admin is all; to submit or to record is to read as well."""
    assert granted(scopes) == allows


@pytest.mark.parametrize("text", ["", "kt_", "kt_abc_def", f"kt_{'A' * 12}_{'b' * 32}", f"kt_{'a' * 12}_{'b' * 32}\n"])
def test_what_cannot_be_a_key_has_no_id(text):
    """So nothing is asked about it."""
    assert id_of(text) is None


def test_the_id_of_a_key_is_its_public_part():
    """And what is kept of the whole is a SHA-256."""
    text = f"kt_{'a2' * 6}_{'b' * 32}"
    assert id_of(text) == "a2a2a2a2a2a2"
    assert len(sha256_of(text)) == 64


def test_a_key_does_not_show_its_digest():
    """Keys end up in logs."""
    assert an_api_key().sha256 not in repr(an_api_key())


def test_a_damaged_row_says_which_and_how_to_mend_it(path, url):
    """No traceback of a parser, and no key that opens more than it should."""
    with closing(SqlKeys.open(url)) as keys:
        keys.add(an_api_key())
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE api_keys SET scopes = '{}'")
        with pytest.raises(StoreError, match=r"table api_keys is damaged.*DELETE FROM api_keys WHERE id = 'k0"):
            keys.all()
