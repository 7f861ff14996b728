"""MissCounter: lookups wait for nothing, and no miss is lost while the store answers."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from kerntune.spaces.errors import StoreError
from kerntune.tuner.miss_counter import MissCounter


class Book:
    """What was written down; a lost one raises."""

    def __init__(self):
        self.lost, self.counts = False, Counter()

    def __call__(self, counts):
        if self.lost:
            raise StoreError("gone")
        self.counts.update(counts)


@pytest.fixture
def book():
    return Book()


def test_misses_are_written_by_themselves(book):
    """A moment after they were noted."""
    with closing(MissCounter(book, every_s=0.01)) as counter:
        for query in "aab":
            counter.note(query)
        deadline_s = time.monotonic() + 10
        while book.counts.total() < 3 and time.monotonic() < deadline_s:
            time.sleep(0.005)
        assert book.counts == {"a": 2, "b": 1}


def test_what_is_left_is_written_at_the_end(book):
    """A server that stops forgets none; to stop twice does nothing."""
    counter = MissCounter(book, every_s=3600)
    counter.note("a")
    assert book.counts == {}
    counter.close()
    counter.close()
    assert book.counts == {"a": 1}


def test_every_note_of_many_threads_is_counted_once(book):
    """While it is being written too."""
    with closing(MissCounter(book, every_s=0.001)) as counter, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: counter.note(number % 7), range(7000)))
    assert book.counts == dict.fromkeys(range(7), 1000)


def test_while_the_store_is_away_counts_stay_and_the_oldest_queries_go(book):
    """Memory is bounded, and whoever looks up sees nothing of it."""
    book.lost = True
    counter = MissCounter(book, every_s=3600, most=3)
    for query in "abca":
        counter.note(query)
    assert not counter.flush()
    for query in "cd":
        counter.note(query)
    assert not counter.flush()
    book.lost = False
    counter.close()
    assert (book.counts, counter.dropped) == ({"b": 1, "c": 2, "d": 1}, 1)


def test_a_note_takes_microseconds_while_the_store_hangs():
    """It is written beside, not by who notes it."""

    def hang(_counts):
        time.sleep(0.5)

    with closing(MissCounter(hang, every_s=0.001)) as counter:
        counter.note("a")
        time.sleep(0.05)  # the writer hangs by now
        begun_s = time.monotonic()
        for _ in range(100):
            counter.note("b")
        assert time.monotonic() - begun_s < 0.2
