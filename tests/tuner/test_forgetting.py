"""What is old goes from the database and from the folder of binaries; nothing that anybody needs does."""

import os
from datetime import timedelta

import pytest
from builders import A_STAMP, a_key, a_record
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_retention import MemoryRetention
from kerntune.cache.retention import Chunk, Removed
from kerntune.spaces.errors import UsageError
from kerntune.tuner.backends.binary_cache import BinaryCache, Entry
from kerntune.tuner.forgetting import ForgetRequest, forget, seconds_of

NOW = A_STAMP + timedelta(days=100)


@pytest.fixture
def store():
    store = MemoryStore()
    store.add_many([a_record(us=10.0 + n, config={"X": n}) for n in range(5)])
    return store


@pytest.fixture
def binaries(tmp_path):
    kept = BinaryCache(tmp_path / "kept")
    for name in ("a" * 32, "b" * 32):
        kept.put(name, Entry(b"code", {}))
    old_s = A_STAMP.timestamp()
    os.utime(tmp_path / "kept" / f"{'a' * 32}.bin", (old_s, old_s))
    os.utime(tmp_path / "kept" / f"{'b' * 32}.bin", (NOW.timestamp(), NOW.timestamp()))
    yield kept
    kept.close()


def test_old_measurements_beyond_the_best_go(store, binaries):
    """Binaries only where that is said."""
    done = forget(ForgetRequest(keep_best=2), MemoryRetention(store), binaries, NOW)
    assert (done.records.rows, done.binaries, done.freed_bytes) == (3, Removed(), None)
    assert len(store.records(a_key())) == 2
    assert binaries.usage().entries == 2


def test_binaries_not_used_since_go_where_that_is_said(store, binaries):
    """By when each was last used; a dry run counts the same."""
    for dry_run, left in ((True, 2), (False, 1)):
        request = ForgetRequest(binaries=True, dry_run=dry_run)
        done = forget(request, MemoryRetention(store), binaries, NOW)
        assert done.binaries.rows == 1
        assert done.binaries.size_bytes > 4
        assert binaries.usage().entries == left
    assert binaries.get("b" * 32) == Entry(b"code", {})


def test_an_interrupt_ends_it_between_two_chunks(store, binaries):
    """What went is told."""

    class Interrupted(MemoryRetention):
        def sweep_records(self, keep, dry_run=False, after=None):
            if after is not None:
                raise KeyboardInterrupt
            return Chunk(super().sweep_records(keep, dry_run).removed, "a")

    done = forget(ForgetRequest(keep_best=2), Interrupted(store), binaries, NOW)
    assert (done.interrupted, done.records.rows) == (True, 3)


@pytest.mark.parametrize(("text", "seconds"), [("12h", 43200.0), ("90d", 7776000.0), ("1.5w", 907200.0), ("0d", 0.0)])
def test_times_are_hours_days_or_weeks(text, seconds):
    """As people say them."""
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "1y", "1e9d", "90 days"])
def test_other_words_are_refused(text):
    """With examples."""
    with pytest.raises(UsageError, match="as 12h, 90d or 8w"):
        seconds_of(text)
