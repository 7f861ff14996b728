"""Jobs of a server as a person runs it: they outlive it, and who follows one holds it up not."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from asking import a_gemm_record
from interrupts import hear_interrupts
from kerntune.cache.sql import SqlStore

TUNE = [sys.executable, "-m", "kerntune.tuner.cli"]
JOB = {"op": "gemm", "shape": "64x48x32", "device": "cpu"}


@contextmanager
def serving():
    """A server on a free port: its address and its process."""
    running = subprocess.Popen(
        [*TUNE, "serve", "--port", "0"], stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts
    )
    with running:
        try:
            yield re.search(r"http://\S+", running.stderr.readline())[0], running
        finally:
            running.kill()


def said(url, body=None):
    request = Request(url, data=None if body is None else json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    with urlopen(request, timeout=10) as response:
        return json.load(response)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_whose_jobs_are_followed_ends_at_once_when_it_is_asked_to(number):
    """The stream ends in good order, and so does the server; the job is still there afterwards."""
    with serving() as (url, running):
        job = said(f"{url}/v1/jobs", JOB)["job"]
        heard, first = [], threading.Event()

        def follow():
            with urlopen(f"{url}/v1/jobs/{job['id']}/events", timeout=30) as stream:
                for line in stream:
                    heard.append(line)
                    first.set()

        follower = threading.Thread(target=follow)
        follower.start()
        assert first.wait(10)
        begun_s = time.monotonic()
        running.send_signal(number)
        _, words = running.communicate(timeout=20)
        assert time.monotonic() - begun_s < 3.0
        follower.join(10)
        assert not follower.is_alive()
        assert heard[0] == b": listening\n"
        assert "Traceback" not in words
    with serving() as (url, _):
        again = said(f"{url}/v1/jobs", JOB)
        assert (again["job"]["id"], again["is_new"], again["job"]["state"]) == (job["id"], False, "queued")


def test_what_is_missed_is_written_down_before_a_server_ends():
    """A miss counts though it was met a moment before."""
    with closing(SqlStore.open(os.environ["KERNTUNE_DB"])) as store:
        store.add(a_gemm_record())
    with serving() as (url, running):
        with pytest.raises(HTTPError, match="404") as refusal:
            said(f"{url}/v1/configs/gemm?shape=1x2x3")
        refusal.value.close()
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=20)
    with serving() as (url, _):
        (demand,) = said(f"{url}/v1/misses")["misses"]
        assert demand["request"]["fields"]["k"] == 3
