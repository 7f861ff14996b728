"""Keys as a person handles them."""

from datetime import timedelta

import pytest
from builders import A_STAMP
from kerntune.cache.keys import id_of, sha256_of
from kerntune.cache.memory_keys import MemoryKeys
from kerntune.spaces.errors import UnknownName, UsageError
from kerntune.tuner.key_services import KeyBook, duration_of


class Clock:
    now = A_STAMP

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def book(clock):
    return KeyBook(MemoryKeys(), clock)


def test_a_new_key_is_its_text_and_what_is_kept_is_its_digest(book):
    """Of the text nothing is kept but the public part."""
    made = book.create("ci", ("read",))
    assert id_of(made.text) == made.key.id
    assert [(key.id, key.sha256) for key in book.all()] == [(made.key.id, sha256_of(made.text))]


def test_no_two_keys_are_alike():
    """They are random."""
    book = KeyBook(MemoryKeys())
    assert len({book.create("ci", ("read",)).text for _ in range(100)}) == 100


def test_a_key_lasts_as_long_as_was_said(book, clock):
    """Or for ever."""
    ninety = book.create("a", ("read",), timedelta(days=90)).key
    forever = book.create("b", ("read",)).key
    clock.now += timedelta(days=90)
    assert book.usable() == [forever]
    assert ninety.expires_at == A_STAMP + timedelta(days=90)


def test_rotation_gives_a_key_like_the_old_one(book, clock):
    """Same name, scopes and length of life, from now on; the old one works through the grace."""
    old = book.create("ci", ("submit", "record"), timedelta(days=90)).key
    clock.now += timedelta(days=80)
    new = book.rotate(old.id, timedelta(hours=24)).key
    assert (new.name, new.scopes, new.expires_at) == (old.name, old.scopes, clock.now + timedelta(days=90))
    clock.now += timedelta(hours=23)
    assert [key.id for key in book.usable()] == [old.id, new.id]
    clock.now += timedelta(hours=1)
    assert [key.id for key in book.usable()] == [new.id]


def test_a_revoked_key_opens_nothing(book):
    """From that moment."""
    key = book.create("ci", ("read",)).key
    book.revoke(key.id)
    assert book.usable() == []
    with pytest.raises(UnknownName):
        book.rotate("nobody")


@pytest.mark.parametrize(("text", "lasting"), [("90d", timedelta(90)), ("24h", timedelta(1)), ("0s", timedelta(0))])
def test_a_time_is_a_number_and_a_unit(text, lasting):
    """As people write it."""
    assert duration_of(text, "--expires") == lasting


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "1.5h", "999999999w", "90 days"])
def test_a_time_that_is_none_is_refused(text):
    """Naming the flag."""
    with pytest.raises(UsageError, match="--expires"):
        duration_of(text, "--expires")
