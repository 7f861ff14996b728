"""`tune worker` as a person runs it, on this processor."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta

import pytest
from interrupts import hear_interrupts
from kerntune.cache.wire_records import record_digest
from worker_server import words, working_server

TUNE = [sys.executable, "-m", "kerntune.tuner.cli"]


@pytest.fixture
def server():
    with working_server() as server:
        yield server


def command(url, *arguments):
    return [*TUNE, "worker", "--server", url, "--device", "cpu", *arguments]


def a_worker(url, *arguments):
    """One that runs beside the test."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(url, *arguments), **pipes, preexec_fn=hear_interrupts)


def run(url, *arguments, **environment):
    env = {**os.environ, **environment}
    return subprocess.run(command(url, *arguments), capture_output=True, text=True, timeout=120, check=False, env=env)


@pytest.mark.compiler
def test_a_job_is_tuned_on_this_processor_and_answered_by_the_server(server):
    """A real kernel, checked and timed; one JSON object a line, and words for people beside it."""
    job = server.submit(request=words(trials=4, templates=()))
    done = run(server.url, "--once", "--json", "--name", "bench-1")
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["event"] for one in told][:2] == ["started", "claimed"]
    ended = server.job(job.id)
    assert (ended.state, ended.worker) == ("done", "bench-1")
    (record,) = [one for one in told if one["event"] == "done"]
    assert record["digest"] == ended.result["digest"]
    best = server.store.best(server.records()[0].key)
    assert (best.config.digest, best.phase) == (ended.result["digest"], "playoff")
    assert f"job {job.id}: gemm 64x48x32 fp32, 4 trials" in done.stderr
    assert f"job {job.id}: done" in done.stderr
    assert len([r for r in server.records() if r.phase == "search"]) == 4


@pytest.mark.compiler
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_is_stopped_gives_its_job_back(server, how):
    """Exit 130, with all that it measured at the server."""
    job = server.submit(request=words(trials=500))
    with a_worker(server.url) as running:
        server.wait(lambda: len(server.records()) >= 3)
        running.send_signal(how)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "given back: the worker was stopped" in said
    assert "left on disk" not in said
    assert "Traceback" not in said
    assert server.job(job.id).state == "queued"


@pytest.mark.compiler
def test_a_worker_that_is_killed_loses_no_record(server):
    """What the server had is kept, what it had not lies on disk and is sent first; the job ends by another lease."""
    job = server.submit(request=words(trials=40))
    with a_worker(server.url) as running:
        server.wait(lambda: len(server.records()) >= 3)
        server.go()
        acknowledged = Counter(map(record_digest, server.records()))
        running.stderr.readline()
        while "waiting with" not in running.stderr.readline():
            assert running.poll() is None
        running.kill()
        running.communicate()
    server.come()
    server.ahead += timedelta(seconds=100)
    server.calls.clear()
    done = run(server.url, "--once")
    assert done.returncode == 0, done.stderr
    assert "of an earlier run" in done.stderr
    assert server.calls.index("records") < server.calls.index("claim")
    ended = server.job(job.id)
    assert (ended.state, ended.tries, ended.token) == ("done", 1, 2)
    digests = Counter(map(record_digest, server.records()))
    assert acknowledged <= digests
    assert digests.most_common(1)[0][1] == 1
    searched = [record for record in server.records() if record.phase == "search"]
    assert Counter(record.config.digest for record in searched).most_common(1)[0][1] == 1
    assert len(searched) == 40


def test_without_a_server_it_says_so():
    """Exit 6 where one job was wanted; 2 where no server is named."""
    alone = run("http://127.0.0.1:9", "--once")
    assert alone.returncode == 6
    assert alone.stderr.splitlines()[-1].startswith("NetworkError: no answer from the server http://127.0.0.1:9")
    unnamed = subprocess.run([*TUNE, "worker"], capture_output=True, text=True, check=False, timeout=60)
    assert unnamed.returncode == 2
    assert "--server URL or KERNTUNE_SERVER" in unnamed.stderr


def test_a_key_in_the_clear_is_warned_of():
    """Over a network; on this machine nobody is on the way."""
    far = run("http://192.0.2.1.invalid", "--once", KERNTUNE_API_KEY="kt_1_secret")
    assert "the API key travels in the clear" in far.stderr
    assert "kt_1_secret" not in far.stderr
    near = run("http://127.0.0.1:9", "--once", KERNTUNE_API_KEY="kt_1_secret")
    assert "in the clear" not in near.stderr
