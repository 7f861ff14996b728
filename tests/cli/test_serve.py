"""`tune serve` as a person runs it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from interrupts import hear_interrupts

TUNE = [sys.executable, "-m", "kerntune.tuner.cli"]


@contextmanager
def serving(*arguments):
    """A server on a free port: its address and its process."""
    command = [*TUNE, "serve", "--port", "0", *arguments]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts)
    with running:
        try:
            yield re.search(r"http://\S+", running.stderr.readline())[0], running
        finally:
            running.kill()


def make_key(*scopes):
    given = [word for scope in scopes for word in ("--scope", scope)]
    made = subprocess.run(
        [*TUNE, "keys", "create", "ci", *given], capture_output=True, text=True, timeout=120, check=True
    )
    return made.stdout.strip()


def status_of(url, key=None, **headers):
    request = Request(url, headers=headers | ({"Authorization": f"Bearer {key}"} if key else {}))
    try:
        with urlopen(request, timeout=10) as response:
            return response.status
    except HTTPError as refused:
        with refused:
            return refused.code


def tune(*arguments):
    return subprocess.run([*TUNE, *arguments, "--json"], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.compiler
def test_what_was_tuned_is_served_and_looked_up_by_the_command():
    """One database, two faces: the same config, exact for the machine it was measured on."""
    job = ["gemm", "--shape", "64x48x32", "--device", "cpu"]
    tuned = json.loads(tune(*job, "--trials", "3").stdout)
    with serving() as (url, _):
        asked = tune("lookup", *job, "--server", url)
        with urlopen(f"{url}/v1/configs/gemm?shape=64x48x32", timeout=10) as response:
            plain = json.load(response)
        missed = tune("lookup", "gemm", "--shape", "64x48x33", "--device", "cpu", "--server", url)
    found = json.loads(asked.stdout)
    assert (found["config"], found["match"]) == (tuned["config"], "exact")
    assert (plain["config"], plain["match"]) == (tuned["config"], "stale")
    assert plain["differences"] == ["toolchain not stated"]
    assert missed.returncode == 3


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("signal_sent", [signal.SIGINT, signal.SIGTERM])
def test_a_server_ends_in_good_order_when_it_is_asked_to(signal_sent, workers):
    """Ctrl-C or a supervisor's word: exit 0, no traceback, whoever answers."""
    with serving("--workers", workers) as (url, running):
        with urlopen(f"{url}/healthz", timeout=30) as response:
            assert json.load(response) == {"status": "ok"}
        running.send_signal(signal_sent)
        _, words = running.communicate(timeout=30)
    assert running.returncode == 0
    assert "Traceback" not in words


def test_the_processes_of_a_server_that_is_killed_end_and_leave_the_port():
    """Nobody is left to stop them."""
    with serving("--workers", "2") as (url, running):
        assert status_of(f"{url}/healthz") == 200
        running.kill()
        until_s = time.monotonic() + 30
        while answers(url) and time.monotonic() < until_s:
            time.sleep(0.1)
        assert not answers(url)


def answers(url):
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), 1).close()
    except OSError:
        return False
    return True


def test_with_keys_each_request_needs_one():
    """Made by the command, known to every process of the server, and seen on /metrics."""
    key = make_key("read")
    with serving("--workers", "2") as (url, _):
        assert status_of(f"{url}/healthz") == 200
        assert [status_of(f"{url}/metrics", key) for _ in range(4)] == [200] * 4
        assert status_of(f"{url}/metrics") == 401
        late = make_key("read")
        assert [status_of(f"{url}/metrics", late) for _ in range(4)] == [200] * 4


def test_an_open_server_is_not_for_the_pages_of_other_sites():
    """A name that was made to point at loopback is refused."""
    with serving() as (url, _):
        assert status_of(f"{url}/openapi.json") == 200
        assert status_of(f"{url}/openapi.json", Host="rebound.example") == 403


def test_beyond_loopback_a_key_has_to_be_there_first():
    """Exit 2, and how to make one; with one, it serves."""
    refused = subprocess.run(
        [*TUNE, "serve", "--host", "0.0.0.0"], capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == 2
    assert "tune keys create" in refused.stderr
    key = make_key("read")
    with serving("--host", "0.0.0.0") as (url, _):
        here = url.replace("0.0.0.0", "127.0.0.1")
        assert (status_of(f"{here}/metrics"), status_of(f"{here}/metrics", key)) == (401, 200)


def test_a_log_of_json_has_a_line_for_each_request():
    """On standard error, beside the address."""
    with serving("--log", "json") as (url, running):
        assert status_of(f"{url}/healthz", **{"X-Request-Id": "abc"}) == 200
        said = json.loads(running.stderr.readline())
    assert (said["path"], said["status"], said["request_id"]) == ("/healthz", 200, "abc")


def test_a_server_serves_the_database_it_is_told(tmp_path):
    """--db reaches the process that answers."""
    with (
        serving("--db", f"sqlite:///{tmp_path / 'other.db'}") as (url, _),
        urlopen(f"{url}/readyz", timeout=10) as ready,
    ):
        assert ready.status == 200
    assert (tmp_path / "other.db").exists()
    assert not os.path.exists(os.environ["KERNTUNE_DB"].removeprefix("sqlite:///"))  # noqa: PTH110 -- a URL's tail
