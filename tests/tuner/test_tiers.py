"""kerntune.lookup: this process's memory, then the local database, then a server, and no further than it has to."""

import socket
import threading
import time
import warnings
from contextlib import closing, suppress
from dataclasses import replace

import pytest
from builders import a_record
from kerntune.cache.records import Policy, RecordKey
from kerntune.spaces.errors import UsageError
from kerntune.templates.catalogue import op_named
from kerntune.tuner import api, asking, settings, wiring
from kerntune.tuner.lookup import answer_from
from kerntune.tuner.remembered import RECHECK_S

DIMS = {"m": 64, "n": 128, "k": 256}


def known(us, config=None, **changes):
    """Record a time of this machine's processor in the database the settings name."""
    target = wiring.open_host("cpu", settings.read()).target
    key = RecordKey(op_named("gemm").problem("cpu", **DIMS, **changes), target, Policy.default_for("cpu"))
    with closing(wiring.open_store(settings.read())) as store:
        store.add(a_record(key, config or {"BLOCK_M": int(us)}, us, phase="playoff"))


def asked(**options):
    answer = api.lookup("gemm", **DIMS, device="cpu", **options)
    return None if answer is None else answer.median_us


@pytest.fixture
def answers_of_a_server(monkeypatch):
    """What a server at KERNTUNE_SERVER says: a list of µs, matches or errors, the last one again and again."""
    said, calls = [], []
    monkeypatch.setenv("KERNTUNE_SERVER", "http://server.example")

    def ask_server(url, op, fields, **words):
        calls.append(url)
        one = said[min(len(calls), len(said)) - 1]
        if isinstance(one, Exception):
            raise one
        return one

    monkeypatch.setattr(asking, "ask_server", ask_server)
    return said, calls


def answer_of(us, match="exact"):
    """An answer as a server gives it."""
    record = a_record(us=us)
    return replace(answer_from(record, record.measurement), match=match)


def test_what_was_asked_is_answered_from_memory():
    """No database is touched the second time."""
    known(5.0)
    assert asked() == 5.0
    first = api.lookup("gemm", **DIMS, device="cpu")
    assert api.lookup("gemm", **DIMS, device="cpu") is first


def test_what_others_commit_is_seen_within_a_second():
    """And what was asked elsewhere is not mixed up."""
    known(5.0)
    assert (asked(), asked(layout="nt")) == (5.0, None)
    known(3.0)
    assert asked() == 5.0
    time.sleep(RECHECK_S + 0.1)
    assert (asked(), asked(layout="nt")) == (3.0, None)


def test_a_miss_is_remembered_until_something_is_known():
    """Asking on is cheap where nothing is known."""
    assert asked() is None
    known(5.0)
    assert asked() is None
    time.sleep(RECHECK_S + 0.1)
    assert asked() == 5.0


def test_an_exact_local_answer_asks_no_server(answers_of_a_server):
    """The network is for what is not known here."""
    said, calls = answers_of_a_server
    said.append(answer_of(1.0))
    known(5.0)
    assert asked() == 5.0
    assert calls == []


@pytest.mark.parametrize(("match", "expected_us"), [("exact", 1.0), ("stale", 1.0), ("near", 5.0)])
def test_the_nearer_of_two_answers_is_given(answers_of_a_server, monkeypatch, match, expected_us):
    """Of equals the server's, which all ask."""
    said, calls = answers_of_a_server
    said.append(answer_of(1.0, match))
    known(5.0)
    monkeypatch.setattr("kerntune.tuner.answering.answer", lambda *_: answer_of(5.0, "stale"))
    assert asked() == expected_us
    assert len(calls) == 1


def test_a_servers_answer_is_remembered_and_so_is_its_miss(answers_of_a_server):
    """A program asks for its shapes at every call; the network is asked once."""
    said, calls = answers_of_a_server
    said.append(answer_of(1.0))
    assert [asked() for _ in range(5)] == [1.0] * 5
    assert len(calls) == 1
    said.append(None)
    assert [asked(layout="nt") for _ in range(5)] == [None] * 5
    assert len(calls) == 2


def a_port_that(behaves):
    """A listener on loopback, and its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=behaves, args=(listener,), daemon=True).start()
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


def drips(listener):
    """Sends a byte of its response now and then."""
    with closing(listener), closing(listener.accept()[0]) as connection, suppress(OSError):  # it is hung up on
        connection.recv(65536)
        for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"{" * 1000:
            time.sleep(0.05)
            connection.send(bytes([byte]))


def hangs(listener):
    """Takes connections, and says nothing."""
    with closing(listener.accept()[0]):
        time.sleep(2)


@pytest.mark.parametrize("behaves", [drips, hangs])
def test_a_dead_server_costs_its_time_out_once_and_breaks_nothing(monkeypatch, behaves):
    """The local answer is given, with a warning."""
    listener, url = a_port_that(behaves)
    monkeypatch.setenv("KERNTUNE_SERVER", url)
    assert asked(timeout_s=0.01, db=settings.read().db_url) is None  # imports are not what is timed
    begun_s = time.monotonic()
    with pytest.warns(RuntimeWarning, match="not asked again for 5 s"):
        assert asked(timeout_s=0.4) is None
    assert time.monotonic() - begun_s < 1.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        begun_s = time.monotonic()
        assert [asked(timeout_s=0.4, layout=layout) for layout in ("nt", "tn", "tt")] == [None] * 3
        assert time.monotonic() - begun_s < 0.3
    listener.close()


def test_a_server_that_refuses_us_is_a_warning_too(answers_of_a_server):
    """The words were found good here: another version, or a key that ended, is no fault of the program's."""
    said, _ = answers_of_a_server
    said.append(UsageError("http://server.example refused the lookup (401): no such key"))
    with pytest.warns(RuntimeWarning, match="401"):
        assert asked() is None


def test_words_that_are_off_are_still_errors(answers_of_a_server):
    """Of a field, of a server that alone is asked, of a value that no dict takes."""
    said, _ = answers_of_a_server
    said.append(UsageError("layout"))
    for wrong in ({"layout": "xx"}, {"server": "http://server.example"}, {"layout": ["nt"]}, {"min_match": "never"}):
        with pytest.raises(UsageError):
            asked(**wrong)
