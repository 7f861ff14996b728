"""Jobs over HTTP, as those see them who wait for one."""

from datetime import UTC, datetime

import pytest
from asking import PATH, SHAPE, a_gemm_record, refused
from builders import a_target
from job_builders import GPU, LEASE_S, a_miss, a_new_job
from kerntune.cache.jobs import Happening
from kerntune.cache.wire import stamp_to_text
from kerntune.server.schemas_jobs import JobBody, JobPageBody, MissesBody


def now():
    return datetime.now(UTC)


@pytest.fixture
def jobs(queue):
    """Three of them: done, running, queued."""
    for key in range(3):
        queue.submit(a_new_job(key=key), now())
    for _ in range(2):
        claim = queue.claim(GPU, LEASE_S, now())
        queue.add_events(claim.job.id, 1, [Happening("trial", {}), Happening("best", {"median_us": 5.0})], now())
    queue.finish(1, 1, "done", now(), result={"match": "exact"})


def test_a_job_says_how_far_it_is(browser, jobs, queue):
    """Every field that openapi describes, and no token: that is its worker's."""
    done, running, queued = (browser.get(f"/v1/jobs/{number}").json() for number in (1, 2, 3))
    for body in (done, running, queued):
        JobBody.model_validate(body)
        assert set(body) == set(JobBody.model_fields)
    assert (done["state"], done["result"], done["trials"], done["best_us"]) == ("done", {"match": "exact"}, 1, 5.0)
    assert (running["state"], running["worker"]) == ("running", "w")
    assert running["lease_until"] > running["started_at"] >= running["created_at"]
    assert (queued["state"], queued["worker"], queued["finished_at"]) == ("queued", None, None)
    assert queued["created_at"] == stamp_to_text(queue.get(3).created_at)


def test_jobs_are_listed_newest_first_page_by_page(browser, jobs):
    """Of one state, or of all."""

    def ids(**params):
        page = browser.get("/v1/jobs", params=params).json()
        JobPageBody.model_validate(page)
        return [job["id"] for job in page["jobs"]], page["next"]

    assert ids() == ([3, 2, 1], None)
    assert ids(limit=2) == ([3, 2], 2)
    assert ids(limit=2, before=2) == ([1], None)
    assert ids(state="running") == ([2], None)
    assert ids(state="failed") == ([], None)


def test_a_job_that_is_cancelled_is_over(browser, jobs):
    """Once more changes nothing, and what has ended stays as it is."""
    cancelled = browser.request("DELETE", "/v1/jobs/3")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert browser.request("DELETE", "/v1/jobs/3").json() == cancelled.json()
    assert browser.request("DELETE", "/v1/jobs/1").json()["state"] == "done"


def test_what_is_missed_is_listed_by_its_cost(browser, queue):
    """Dearest first, as many as are asked for."""
    queue.note_misses([a_miss(1, gflop=1.0, count=5), a_miss(2, gflop=100.0)], now())
    body = browser.get("/v1/misses").json()
    MissesBody.model_validate(body)
    assert [(one["count"], one["gflop"], one["request"]) for one in body["misses"]] == [
        (1, 100.0, {"key": 2}),
        (5, 5.0, {"key": 1}),
    ]
    assert len(browser.get("/v1/misses", params={"limit": 1}).json()["misses"]) == 1


def test_only_a_lookup_without_an_answer_is_a_miss(browser, store, job_services):
    """Neither a hit, nor words that are off, nor a place that nothing is known of."""
    store.add(a_gemm_record())
    for params in (SHAPE, {"shape": "1x"}, SHAPE | {"device": "GPU Z"}, {"shape": "1x2x3"}):
        browser.get(PATH, params=params)
    job_services.close()
    (demand,) = browser.get("/v1/misses").json()["misses"]
    assert (demand["count"], demand["request"]["fields"]["k"]) == (1, 3)


def test_a_lookup_for_a_new_machine_is_a_miss_once_its_target_is_registered(browser, job_services):
    """Its key is that of the job that would end it."""
    place = SHAPE | {"target": a_target().digest}
    refused(browser.get(PATH, params=place), 404, "/problems/unknown-target")
    browser.post("/v1/targets", a_target().as_dict())
    assert "No gemm is recorded" in refused(browser.get(PATH, params=place), 404, "/problems/no-answer")["detail"]
    job_services.close()
    (demand,) = browser.get("/v1/misses").json()["misses"]
    assert demand["key"] == browser.post("/v1/jobs", {"op": "gemm"} | place).json()["job"]["key"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/jobs/7"), ("DELETE", "/v1/jobs/7"), ("GET", "/v1/jobs/7/events")]
)
def test_a_job_there_is_not_is_404(browser, method, path):
    """Of a type of its own."""
    assert "no job 7" in refused(browser.request(method, path), 404, "/problems/unknown-job")["detail"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/jobs/seven", "id is"),
        ("/v1/jobs/0", "id is"),
        (f"/v1/jobs/{2**63}", "id is"),
        ("/v1/jobs?state=sleeping", "state is"),
        ("/v1/jobs?before=0", "before is"),
        (f"/v1/jobs?before={2**63}", "before is"),
        ("/v1/jobs?limit=0", "limit is"),
        ("/v1/jobs?limit=201", "limit is"),
        ("/v1/jobs?stat=queued", 'Did you mean "state"'),
        ("/v1/misses?limit=x", "limit is"),
        ("/v1/misses?before=1", '"before" is not'),
    ],
)
def test_words_that_are_off_are_refused(browser, path, said):
    """What and where."""
    assert said in refused(browser.get(path), 422, "/problems/usage")["detail"]
