"""The queues keep the port's laws, in memory, in SQLite and in PostgreSQL, and lose no job of a killed process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from contracts.jobs_contract import JobsContract
from job_builders import GPU, LEASE_S, NOW, a_new_job
from kerntune.cache.database import Database
from kerntune.cache.memory_jobs import MemoryJobs
from kerntune.cache.sql_jobs import SqlJobs

TESTS = Path(__file__).parents[1]

CLAIMER = """
import sys
from kerntune.cache.database import Database
from kerntune.cache.sql_jobs import SqlJobs
from job_builders import GPU, LEASE_S, NOW, a_new_job, claim_all
queue = SqlJobs(Database.open(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(*(queue.submit(a_new_job(key=key), NOW).job.id for key in range(50)), flush=True)
print(*claim_all(queue), flush=True)
sys.stdin.readline()
"""
"""A process that submits 50 keys, claims what is left, says what it got, and waits for a line or its end."""


class TestMemoryJobs(JobsContract):
    @pytest.fixture
    def queue(self):
        return MemoryJobs()


class TestSqliteJobs(JobsContract):
    @pytest.fixture
    def queue(self, url):
        with closing(Database.open(url)) as database:
            yield SqlJobs(database)


@pytest.mark.postgres
class TestPostgresqlJobs(JobsContract):
    @pytest.fixture
    def queue(self, postgres_url):
        with closing(Database.open(postgres_url)) as database:
            yield SqlJobs(database)

    def test_processes_that_submit_and_claim_the_same_50_jobs_get_each_once(self, postgres_url):
        """Several servers over one database are one queue, and a killed one loses nothing."""
        processes_get_each_job_once(postgres_url)


def test_processes_that_submit_and_claim_the_same_50_jobs_get_each_once(url):
    """Several servers over one file are one queue, and a killed one loses nothing."""
    processes_get_each_job_once(url)


def test_jobs_outlive_the_process_that_took_them(url):
    """They are rows: a server that starts again goes on with them."""
    with closing(Database.open(url)) as database:
        asked = SqlJobs(database).submit(a_new_job(), NOW).job
        SqlJobs(database).submit(a_new_job(key=2), NOW)
    with closing(Database.open(url)) as database:
        queue = SqlJobs(database)
        assert queue.get(asked.id) == asked
        assert not queue.submit(a_new_job(), NOW).is_new
        assert len(queue.page("queued")) == 2


def test_an_idle_worker_takes_no_lock(url):
    """It may ask while another one writes."""
    with closing(Database.open(url, busy_timeout_s=0.1)) as database, database.transaction():
        assert SqlJobs(database).claim(GPU, LEASE_S, NOW) is None
        assert SqlJobs(database).expire(NOW) == 0


def processes_get_each_job_once(url):
    """Four of them at once; those of a killed one are claimed again under larger tokens, and its word is refused."""
    with closing(Database.open(url)) as database:
        queue = SqlJobs(database)
        processes = [claimer(url) for _ in range(4)]
        for process in processes:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        with ThreadPoolExecutor(4) as pool:
            said = list(pool.map(lambda process: [process.stdout.readline().split() for _ in range(2)], processes))
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
        assert len({tuple(submitted) for submitted, _ in said}) == 1
        taken = [int(job_id) for _, claimed in said for job_id in claimed]
        assert len(taken) == len(set(taken)) == len(queue.page("running")) == 50
        later = NOW + timedelta(seconds=LEASE_S + 1)
        again = [queue.claim(GPU, LEASE_S, later) for _ in range(50)]
        assert sorted(claim.job.id for claim in again) == sorted(taken)
        assert {(claim.token, claim.job.tries) for claim in again} == {(2, 1)}


def claimer(url):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])}
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    return subprocess.Popen([sys.executable, "-c", CLAIMER, url], text=True, env=environment, **pipes)
