"""Unchanged: a reading is given again while nothing was committed, and no longer."""

from builders import a_key, a_record
from kerntune.cache.sql import SqlStore
from kerntune.cache.unchanged import Unchanged


def test_a_reading_is_given_again_until_the_state_changes():
    """And each for its own words."""
    state, reads = ["1"], []
    readings = Unchanged(lambda: state[0])

    def read(word):
        return readings.get(word, lambda: reads.append(word) or len(reads))

    assert [read("a"), read("a"), read("b"), read("a")] == [1, 1, 2, 1]
    state[0] = "2"
    assert [read("a"), read("b"), read("b")] == [3, 4, 4]


def test_what_is_committed_while_it_is_read_makes_the_reading_old():
    """The state counts as it was before."""
    state = ["1"]
    readings = Unchanged(lambda: state[0])
    assert readings.get("a", lambda: state.__setitem__(0, "2") or "old") == "old"
    assert readings.get("a", lambda: "new") == "new"


def test_no_more_are_kept_than_may_be():
    """The oldest goes."""
    readings = Unchanged(lambda: "1", most=2)
    for word in "abc":
        readings.get(word, lambda: "first")
    assert [readings.get(word, lambda: "again") for word in "cba"] == ["first", "first", "again"]


def test_a_database_answers_from_memory_and_sees_what_another_one_commits(tmp_path):
    """Two processes with one file are two stores here."""
    url = f"sqlite:///{tmp_path / 'facts.db'}"
    here, there = SqlStore.open(url), SqlStore.open(url)
    there.add(a_record(us=5.0))
    first = here.best(a_key())
    assert first is not None
    assert here.best(a_key()) is first
    there.add(a_record(us=3.0, config={"BLOCK_M": 32}))
    assert here.best(a_key()).measurement.median_us == 3.0
    here.close()
    there.close()
