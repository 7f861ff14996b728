"""Polled: what was read a moment ago, and nothing where that is not known."""

import time
from threading import Event

import pytest
from kerntune.spaces.errors import StoreError
from kerntune.tuner.polled import Polled


@pytest.fixture
def polling():
    """Makes polled values, closed afterwards."""
    made = []

    def make(read, **options):
        made.append(Polled(read, every_s=0.01, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def until(expected, said, within_s=5.0):
    """Whether it comes to say so."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if said() == expected:
            return True
        time.sleep(0.005)
    return False


def test_it_says_what_was_read_and_follows_it(polling):
    """A little later."""
    values = ["a"]
    said = polling(lambda: values[0])
    assert until("a", said)
    values[0] = "b"
    assert until("b", said)


def test_where_reading_fails_nothing_is_said_until_it_works_again(polling):
    """The last word of a store that is gone is not its word now."""
    broken = [False]

    def read():
        if broken[0]:
            raise StoreError("gone")
        return "a"

    said = polling(read)
    assert until("a", said)
    broken[0] = True
    assert until(None, said)
    broken[0] = False
    assert until("a", said)


def test_what_hangs_is_not_waited_for(polling):
    """Whoever asks is answered at once, and with nothing once the last word is old."""
    hang = Event()
    first = [True]

    def read():
        if not first[0]:
            hang.wait(30)
        first[0] = False
        return "a"

    said = polling(read, fresh_s=0.2)
    assert until("a", said)
    begun = time.monotonic()
    assert until(None, said)
    assert time.monotonic() - begun < 2
    hang.set()


def test_nothing_is_read_before_somebody_asks(polling):
    """A process that forks has no thread yet."""
    read = []
    polling(lambda: read.append(1) or "a")
    time.sleep(0.05)
    assert read == []
