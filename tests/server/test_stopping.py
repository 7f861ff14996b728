"""A server hears that it is to end before it waits for open responses."""

import os
import signal
import threading
import time

import pytest
from kerntune.server.stopping import told_of_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_we_are_told_first_and_whoever_listened_before_is_told_too(number):
    """And hears alone again afterwards."""
    heard = []

    def before(number, frame):
        heard.append("before")

    at_first = signal.signal(number, before)
    try:
        with told_of_signals(lambda: heard.append("we")):
            os.kill(os.getpid(), number)
            until(lambda: len(heard) == 2)
        assert heard == ["we", "before"]
        assert signal.getsignal(number) is before
        os.kill(os.getpid(), number)
        until(lambda: len(heard) == 3)
        assert heard[2] == "before"
    finally:
        signal.signal(number, at_first)


def test_who_listens_after_us_is_left_alone():
    """What was put in our place stays there."""

    def later(number, frame):
        raise AssertionError

    at_first = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        with told_of_signals(lambda: None):
            signal.signal(signal.SIGTERM, later)
        assert signal.getsignal(signal.SIGTERM) is later
    finally:
        signal.signal(signal.SIGTERM, at_first)


def test_what_nobody_listened_to_does_what_it_did():
    """A SIGTERM that ends the process ends it still."""
    at_first = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with told_of_signals(lambda: None):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, at_first)


def test_another_thread_than_the_main_one_may_not_listen_and_runs_all_the_same():
    """As servers of tests do."""
    ran = []

    def run():
        with told_of_signals(lambda: None):
            ran.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert ran == [True]


def until(met):
    deadline_s = time.monotonic() + 10
    while not met() and time.monotonic() < deadline_s:
        time.sleep(0.01)
