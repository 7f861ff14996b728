"""`tune serve` as a person runs it."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from urllib.request import urlopen

import pytest

TUNE = [sys.executable, "-m", "kerntune.tuner.cli"]


@contextmanager
def serving(*arguments):
    """A server on a free port: its address and its process."""
    running = subprocess.Popen([*TUNE, "serve", "--port", "0", *arguments], stderr=subprocess.PIPE, text=True)
    with running:
        try:
            yield re.search(r"http://\S+", running.stderr.readline())[0], running
        finally:
            running.kill()


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


def test_a_server_ends_in_good_order_when_it_is_asked_to():
    """Ctrl-C: exit 0, no traceback."""
    with serving() as (url, running):
        with urlopen(f"{url}/healthz", timeout=10) as response:
            assert json.load(response) == {"status": "ok"}
        running.send_signal(signal.SIGINT)
        _, words = running.communicate(timeout=20)
    assert running.returncode == 0
    assert "Traceback" not in words


def test_a_server_serves_the_database_it_is_told(tmp_path):
    """--db reaches the process that answers."""
    with (
        serving("--db", f"sqlite:///{tmp_path / 'other.db'}") as (url, _),
        urlopen(f"{url}/readyz", timeout=10) as ready,
    ):
        assert ready.status == 200
    assert (tmp_path / "other.db").exists()
    assert not os.path.exists(os.environ["KERNTUNE_DB"].removeprefix("sqlite:///"))  # noqa: PTH110 -- a URL's tail
