"""What must be so of jobs and records, whatever was killed on the way."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from processes import Site, wait_for

MOST_S = 60.0

log = logging.getLogger(__name__)


def every_job_ends_once(site: Site, ids: Sequence[int]) -> None:
    """Well, with one `end` that says the job's result, which at most one worker told to be taken."""
    wait_for(lambda: site.ended() == len(ids), MOST_S)
    jobs = site.jobs()
    assert {job["id"] for job in jobs} == set(ids)
    assert {job["state"] for job in jobs} == {"done"}, [(job["id"], job["tries"], job["error"]) for job in jobs]
    for job in jobs:
        assert [end["result"] for end in site.ends_told(job["id"])] == [job["result"]], job
    told = Counter(news["job"] for worker in site.workers for news in worker.news() if news["event"] == "done")
    assert set(told.values()) == {1}, told
    log.info("jobs by tries %s, news %s", dict(Counter(job["tries"] for job in jobs)), news_of(site))


def workers_end_with_empty_spools(site: Site) -> None:
    """As they are asked to."""
    assert [worker.end() for worker in site.workers] == [0] * len(site.workers)
    assert site.waiting().total() == 0


def no_record_is_lost_or_doubled(site: Site, least: int) -> None:
    """What workers measured is kept, each record once."""
    kept, measured = site.kept(), site.measured()
    log.info("records kept %d, measured %d", kept.total(), measured.total())
    assert set(kept.values()) == {1}
    assert set(measured) - set(kept) == set()
    assert kept.total() >= least


def news_of(site: Site) -> dict[str, Any]:
    """How often workers told what."""
    return dict(Counter(news["event"] for worker in site.workers for news in worker.news()))
