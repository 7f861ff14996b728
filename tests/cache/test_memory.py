"""MemoryStore keeps the port's laws."""

from __future__ import annotations

import pytest
from contracts.store_contract import StoreContract
from kerntune.cache.memory import MemoryStore
from kerntune.cache.rules import clean_name, clean_text


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


def test_clean_text_keeps_lines_tabs_and_letters_of_any_language():
    """Only what steers a terminal or a database goes."""
    assert clean_text("µ: 名\tf\u00fcr\nx") == "µ: 名\tf\u00fcr\nx"
    assert clean_text("a\x1b[1;31mb\x1b[0mc\x9b\x7f") == "abc"


def test_clean_name_is_one_line():
    """A name in a table cell does not break the table."""
    assert clean_name("  host-1\nuser\t42 ") == "host-1 user 42"
