"""PostgreSQL goes away in the middle of jobs and comes back: workers go on, and nothing is lost."""

import logging
import time

import pytest
from aftermath import every_job_ends_once, no_record_is_lost_or_doubled, workers_end_with_empty_spools
from cluster import running_cluster
from kerntune.cache.wire_records import record_to_json
from processes import Site, wait_for
from uploads import a_full_record
from workers import TARGET

AWAY_S = 8.0
JOBS, TRIALS, TRIAL_S = 9, 25, 0.1

SHAPE = "64x48x32"
CLAIM = {"worker": "w", "target": TARGET.as_dict(), "backends": ["cpu"], "lease_s": 5.0}
GETS = {
    "/readyz": {},
    "/v1/configs/gemm": {"shape": SHAPE, "target": TARGET.digest},
    "/v1/jobs": {},
    "/v1/jobs/1": {},
    "/v1/jobs/1/events": {},
    "/v1/records": {},
    "/v1/targets": {},
    "/v1/misses": {},
    "/v1/generations": {},
}
POSTS = {
    "/v1/jobs": {"op": "gemm", "shape": SHAPE, "target": TARGET.digest},
    "/v1/jobs/claim": CLAIM,
    "/v1/jobs/1/heartbeat": {"token": 1, "lease_s": 5.0},
    "/v1/jobs/1/events": {"token": 1, "events": []},
    "/v1/jobs/1/finish": {"token": 1, "outcome": "done", "result": {}},
    "/v1/records": {"records": [record_to_json(a_full_record())]},
    "/v1/targets": TARGET.as_dict(),
}
"""All that needs the store."""

log = logging.getLogger(__name__)


def everything_is_answered_503(site):
    """With a problem body, and in how many seconds at most; the process itself is well."""
    longest_s = 0.0
    for path, ask in [
        *((path, lambda p=path, q=query: site.get(p, **q)) for path, query in GETS.items()),
        *((path, lambda p=path, b=body: site.post(p, b)) for path, body in POSTS.items()),
    ]:
        asked_s = time.monotonic()
        said = ask()
        longest_s = max(longest_s, time.monotonic() - asked_s)
        assert (said.status, said.media_type) == (503, "application/problem+json"), (path, said)
        assert said.data["type"] == "/problems/store", (path, said)
        assert "PostgreSQL" in said.data["detail"], (path, said)
    assert site.get("/healthz").status == 200
    return longest_s


def every_worker_is_in_a_job(site):
    jobs = [site.job_of(worker) for worker in site.workers]
    return all(job is not None and 1 <= job["trials"] <= TRIALS // 2 for job in jobs)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.initdb
def test_a_database_that_is_away_stops_nobody_and_loses_nothing(tmp_path):
    """Workers buffer on disk; the server says 503 until the database is back, and goes on by itself."""
    with running_cluster() as cluster:
        site = Site(cluster.url, tmp_path, trial_s=TRIAL_S)
        with site.serving():
            ids = site.submit(JOBS, TRIALS)
            site.start_workers()
            wait_for(lambda: every_worker_is_in_a_job(site))
            running = [program.pid for program in (site.server, *site.workers)]
            cluster.stop_at_once()
            gone_s, longest_s, asked = time.monotonic(), 0.0, 0
            while time.monotonic() - gone_s < AWAY_S:
                longest_s, asked = max(longest_s, everything_is_answered_503(site)), asked + 1
                time.sleep(0.5)
            buffered = site.waiting()
            assert min(buffered.values()) >= TRIALS // 4, buffered
            cluster.start()
            back_s = time.monotonic()
            wait_for(lambda: site.get("/readyz").status == 200)
            ready_s = time.monotonic()
            log.info(
                "away %.1f s, buffered %s, %d rounds of 503 in %.2f s at most, ready after %.2f s",
                back_s - gone_s,
                dict(buffered),
                asked,
                longest_s,
                ready_s - back_s,
            )
            every_job_ends_once(site, ids)
            log.info("all jobs ended %.1f s after it came back", time.monotonic() - back_s)
            assert [program.pid for program in (site.server, *site.workers)] == running
            workers_end_with_empty_spools(site)
        no_record_is_lost_or_doubled(site, JOBS * TRIALS)
