"""kill -9 of the server, of workers and of the database in the middle of 50 jobs."""

import logging
import signal
import time

import pytest
from aftermath import every_job_ends_once, no_record_is_lost_or_doubled, workers_end_with_empty_spools
from cluster import running_cluster
from kerntune.cache.outcomes import LeaseEnded
from kerntune.cache.remote_jobs import Claimed, RemoteJobs
from processes import Site, wait_for
from workers import TARGET

JOBS, TRIALS = 50, 12

log = logging.getLogger(__name__)


def kill_server(site, cluster):
    site.server.kill()
    site.start_server()


def kill_worker(site, cluster):
    """In the middle of a job."""
    worker, _ = wait_for(lambda: at_work(site))
    worker.kill()
    worker.start()


def freeze_worker(site, cluster):
    """Until its job is another's: what it says of it when it thaws counts no more, and it lets go of it."""
    worker, job_id = wait_for(lambda: frozen(site))

    def is_dropped():
        return any((news["event"], news.get("job")) == ("dropped", job_id) for news in worker.news())

    try:
        holder = f"{worker.name}.{worker.pid}"
        wait_for(lambda: site.get(f"/v1/jobs/{job_id}").data.get("worker", holder) != holder)
    finally:
        worker.send(signal.SIGCONT)
    wait_for(is_dropped)


def at_work(site):
    """A worker, and a job it has that no other had before: after three tries a job is given up."""
    for worker in site.workers:
        if (job := site.job_of(worker)) is not None and not job["tries"]:
            return worker, job["id"]
    return None


def frozen(site):
    """A worker in the middle of a job, and the id of that; None where none was met."""
    if (met := at_work(site)) is None:
        return None
    worker, job_id = met
    worker.send(signal.SIGSTOP)
    time.sleep(0.2)  # a word that was on its way arrives
    if (job := site.job_of(worker)) is not None and job["id"] == job_id:
        return met
    worker.send(signal.SIGCONT)
    return None


def kill_database(site, cluster):
    cluster.kill()
    cluster.start()


SERVER_AND_WORKERS = {
    4: kill_server,
    8: kill_worker,
    12: kill_worker,
    16: kill_server,
    20: freeze_worker,
    24: kill_worker,
    28: kill_server,
    32: kill_worker,
    36: kill_server,
    40: kill_worker,
}
"""What is done once so many jobs have ended."""

ALL_THREE = SERVER_AND_WORKERS | dict.fromkeys((6, 18, 30, 38), kill_database)


class LateWorker:
    """Claims a job, is not heard of until its lease is over, and has its last word long after."""

    def __init__(self, site):
        self.server = RemoteJobs(site.url)
        self.claimed = self.server.claim("late", TARGET, ["cpu"], lease_s=1.0)
        assert isinstance(self.claimed, Claimed)

    def says(self):
        return self.server.finish(self.claimed, "done", None, {"median_us": 0.001})


def fifty_jobs_survive(site, blows, cluster=None):
    """Every acknowledged job ends well and once; every record a worker took is at the server, once."""
    begun_s = time.monotonic()
    with site.serving():
        ids = site.submit(JOBS, TRIALS)
        late = LateWorker(site)
        site.start_workers()
        for ended, blow in sorted(blows.items()):
            wait_for(lambda at=ended: site.ended() >= at)
            blow(site, cluster)
        every_job_ends_once(site, ids)
        assert isinstance(late.says(), LeaseEnded)
        workers_end_with_empty_spools(site)
        every_job_ends_once(site, ids)
    no_record_is_lost_or_doubled(site, JOBS * TRIALS)
    log.info("%.1f s", time.monotonic() - begun_s)


@pytest.mark.slow
def test_kills_of_server_and_workers_lose_and_double_nothing(tmp_path):
    """On SQLite."""
    site = Site(f"sqlite:///{tmp_path}/server.db", tmp_path)
    fifty_jobs_survive(site, SERVER_AND_WORKERS)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.initdb
def test_kills_of_server_workers_and_database_lose_and_double_nothing(tmp_path):
    """On PostgreSQL, which is killed with all its processes."""
    with running_cluster() as cluster:
        fifty_jobs_survive(Site(cluster.url, tmp_path), ALL_THREE, cluster)
