"""Remembered answers, and calls to a server that may be dead."""

import threading
import time
import warnings

import pytest
from fakes import Clock
from kerntune.spaces.errors import NetworkError, UsageError
from kerntune.tuner import fragile, remembered
from kerntune.tuner.fragile import Fragile
from kerntune.tuner.remembered import MISS_S, RECHECK_S, REMOTE_S, Remembered

AN_ANSWER = object()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def memory(clock):
    return Remembered(clock)


def test_an_answer_is_given_again_and_checked_once_a_second(memory, clock):
    """While it holds."""
    checks = []
    memory.put("q", AN_ANSWER, lambda: checks.append(1) is None)
    for _ in range(50):
        clock.now_s += RECHECK_S / 10
        assert memory.get("q").answer is AN_ANSWER
    assert 3 <= len(checks) <= 5


def test_an_answer_that_does_not_hold_is_asked_for_again(memory, clock):
    """Within a second of the change."""
    memory.put("q", AN_ANSWER, lambda: False)
    assert memory.get("q") is not None
    clock.now_s += RECHECK_S
    assert memory.get("q") is None
    assert memory.last("q").answer is AN_ANSWER


@pytest.mark.parametrize(("answer", "lasts_s"), [(AN_ANSWER, REMOTE_S), (None, MISS_S)])
def test_a_servers_word_expires_and_a_miss_sooner(memory, clock, answer, lasts_s):
    """Nobody tells this process what a server learns."""
    memory.put("q", answer, lambda: True, by_server=True)
    clock.now_s += lasts_s - 0.01
    assert memory.get("q") is not None
    clock.now_s += 0.02
    assert memory.get("q") is None


def test_a_miss_is_remembered_as_well(memory):
    """Nothing known is an answer; nothing asked is not."""
    assert memory.get("q") is None
    memory.put("q", None, lambda: True)
    assert memory.get("q").answer is None


def test_memory_is_bounded(memory, monkeypatch):
    """The oldest question goes."""
    monkeypatch.setattr(remembered, "MOST", 3)
    for number in range(10):
        memory.put(number, AN_ANSWER, lambda: True)
    assert [number for number in range(10) if memory.get(number)] == [7, 8, 9]


def failing():
    raise NetworkError("nobody there.")


def test_a_server_that_failed_is_left_alone_for_longer_and_longer(clock):
    """5 s, 10 s … a minute; one success and it begins anew."""
    server = Fragile(1.0, clock)
    pauses = []
    for _ in range(6):
        with pytest.warns(RuntimeWarning, match="nobody there"):
            assert server.call(failing, None) == (None, False)
        begun_s = clock.now_s
        assert server.call(lambda: 1 / 0, None) == (None, False)  # not called at all
        while server.is_quiet:
            clock.now_s += 1
        pauses.append(clock.now_s - begun_s)
    assert pauses == [5, 10, 20, 40, 60, 60]
    assert server.call(lambda: "yes", None) == ("yes", True)
    with pytest.warns(RuntimeWarning, match=f"for {fragile.FIRST_PAUSE_S:g} s"):
        server.call(failing, None)


def test_a_server_that_hangs_costs_its_time_out_and_no_more():
    """Whatever it hangs in."""
    forever = threading.Event()
    server = Fragile(0.2)
    begun_s = time.monotonic()
    with pytest.warns(RuntimeWarning, match="within"):
        server.call(forever.wait, None)
    assert time.monotonic() - begun_s < 2
    forever.set()


def test_what_is_not_forgiven_is_raised():
    """A question that is off is the caller's mistake, and no fault of the server."""

    def refusing():
        raise UsageError("no such field")

    server = Fragile(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UsageError):
            server.call(refusing, None)
    assert not server.is_quiet
