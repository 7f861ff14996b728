"""A worker's side of jobs over HTTP: leases, fencing, and words that are off."""

from datetime import UTC, datetime, timedelta

import pytest
from asking import refused
from builders import a_target
from kerntune.cache.jobs import MAX_TRIES
from kerntune.server.routes.leases import MOST_EVENT_CHARS, MOST_RESULT_CHARS
from kerntune.server.schemas_jobs import ClaimedBody

JOB = {"op": "gemm", "shape": "64x128x256", "device": "gpu"}
CLAIM = {"worker": "w", "target": a_target().as_dict(), "backends": ["triton"], "lease_s": 30.0}


@pytest.fixture
def lease(browser):
    """A job that is ours: what is said of it, by word, with its token."""
    browser.post("/v1/jobs", JOB)
    return a_lease(browser)


def a_lease(browser):
    body = browser.post("/v1/jobs/claim", CLAIM).json()
    ClaimedBody.model_validate(body)

    def say(word, token=body["token"], **rest):
        return browser.post(f"/v1/jobs/{body['job']['id']}/{word}", {"token": token} | rest)

    return say


def the_job(browser):
    return browser.get("/v1/jobs/1").json()


def run_out(queue):
    """Let every lease run out."""
    queue.expire(datetime.now(UTC) + timedelta(hours=2))


def test_a_worker_gets_the_most_urgent_job_it_can_run(browser):
    """With the words to run it by; 204 where there is none."""
    nothing = browser.post("/v1/jobs/claim", CLAIM)
    assert (nothing.status_code, nothing.content) == (204, b"")
    browser.post("/v1/jobs", JOB)
    urgent = browser.post("/v1/jobs", JOB | {"m": 1, "n": 2, "k": 3, "shape": None, "priority": 9}).json()["job"]
    other = CLAIM | {"backends": ["cpu"]}
    assert browser.post("/v1/jobs/claim", other).status_code == 204
    claimed = browser.post("/v1/jobs/claim", CLAIM).json()
    assert (claimed["job"]["id"], claimed["job"]["request"], claimed["token"]) == (urgent["id"], urgent["request"], 1)
    assert claimed["lease_until"] == claimed["job"]["lease_until"]


def test_a_worker_that_claims_makes_its_target_known(browser):
    """Jobs can name it from then on."""
    browser.post("/v1/jobs/claim", CLAIM)
    assert browser.get(f"/v1/targets/{a_target().digest}").json() == a_target().as_dict()


def test_a_study_is_told_step_by_step(browser, lease):
    """Trials, bests, and the last word with its result."""
    assert lease("heartbeat", lease_s=60.0).json() == {"cancel": False}
    told = lease("events", events=[{"kind": "trial", "data": {"n": 1}}, {"kind": "best", "data": {"median_us": 5}}])
    assert (told.status_code, told.json()["trials"], told.json()["best_us"]) == (200, 1, 5.0)
    for _ in range(2):  # a last word whose answer was lost is said again
        done = lease("finish", outcome="done", result={"median_us": 5.0})
        assert (done.status_code, done.json()["state"], done.json()["result"]) == (200, "done", {"median_us": 5.0})
    assert the_job(browser) == done.json()


def test_a_cancelled_job_tells_its_worker_to_stop(browser, lease):
    """By the heartbeat; nothing else is taken of it."""
    browser.request("DELETE", "/v1/jobs/1")
    assert lease("heartbeat", lease_s=30).json() == {"cancel": True}
    refused(lease("finish", outcome="done"), 409, "/problems/lease-lost")


def test_the_words_of_a_worker_that_was_away_are_refused(browser, queue, lease):
    """Another one has the job by then; its token is larger."""
    run_out(queue)
    again = a_lease(browser)
    for said in (
        lease("heartbeat", lease_s=30),
        lease("events", events=[{"kind": "trial", "data": {}}]),
        lease("finish", outcome="done"),
    ):
        assert "token 1" in refused(said, 409, "/problems/lease-lost")["detail"]
    assert (the_job(browser)["state"], the_job(browser)["trials"], the_job(browser)["tries"]) == ("running", 0, 1)
    assert again("finish", outcome="done").status_code == 200


def test_a_job_that_kills_its_workers_fails_at_last(browser, queue):
    """And says so; who asks anew gets another job."""
    browser.post("/v1/jobs", JOB)
    for _ in range(MAX_TRIES):
        a_lease(browser)
        run_out(queue)
    assert (the_job(browser)["state"], the_job(browser)["tries"]) == ("failed", 3)
    assert "given up after 3 tries" in the_job(browser)["error"]
    assert browser.post("/v1/jobs", JOB).json()["job"]["id"] == 2


def test_a_job_given_back_is_queued_again(browser, lease):
    """With the reason."""
    body = lease("finish", outcome="retry", error="device lost \x1b[31m").json()
    assert (body["state"], body["tries"], body["error"]) == ("queued", 1, "device lost ")


@pytest.mark.parametrize("word", ["heartbeat", "events", "finish"])
def test_a_job_there_is_not_is_404(browser, word):
    """Of a type that a worker knows."""
    rest = {"heartbeat": {"lease_s": 1.0}, "events": {"events": []}, "finish": {"outcome": "done"}}[word]
    refused(browser.post(f"/v1/jobs/7/{word}", {"token": 1} | rest), 404, "/problems/unknown-job")


@pytest.mark.parametrize(
    "change",
    [
        {"worker": ""},
        {"worker": "w" * 201},
        {"worker": 5},
        {"target": {}},
        {"target": CLAIM["target"] | {"kind": "tpu"}},
        {"target": "GPU X"},
        {"backends": []},
        {"backends": ["triton", ""]},
        {"backends": ["a,b"]},
        {"backends": ["x"] * 17},
        {"backends": "triton"},
        {"lease_s": 0},
        {"lease_s": 1e9},
        {"lease_s": "30"},
        {"lease_s": True},
        {"mood": "good"},
    ],
)
def test_a_claim_that_is_off_is_refused(browser, change):
    """And nothing is claimed by it."""
    browser.post("/v1/jobs", JOB)
    refused(browser.post("/v1/jobs/claim", CLAIM | change), 422, "/problems/usage")
    assert the_job(browser)["state"] == "queued"


@pytest.mark.parametrize(
    ("word", "rest"),
    [
        ("heartbeat", {}),
        ("heartbeat", {"lease_s": 1, "token": "1"}),
        ("heartbeat", {"lease_s": 1, "token": -1}),
        ("heartbeat", {"lease_s": 1, "token": 2**64}),
        ("heartbeat", {"lease_s": 1, "x": 1}),
        ("events", {}),
        ("events", {"events": [{"kind": "end", "data": {}}]}),
        ("events", {"events": [{"kind": "trial"}]}),
        ("events", {"events": [{"kind": "trial", "data": []}]}),
        ("events", {"events": [{"kind": "trial", "data": {}, "at": "now"}]}),
        ("events", {"events": [{"kind": "trial", "data": {}}] * 1001}),
        ("events", {"events": [{"kind": "trial", "data": {"x": "y" * MOST_EVENT_CHARS}}]}),
        ("finish", {"outcome": "cancelled"}),
        ("finish", {"outcome": "done", "error": 5}),
        ("finish", {"outcome": "done", "result": [1]}),
        ("finish", {"outcome": "done", "result": {"x": "y" * MOST_RESULT_CHARS}}),
    ],
)
def test_words_that_are_off_are_refused_and_change_nothing(browser, lease, word, rest):
    """Only the queue says `end`, and only the asker cancels."""
    before = the_job(browser)
    refused(lease(word, **rest), 422, "/problems/usage")
    assert the_job(browser) == before


def nested(depth):
    data = {}
    for _ in range(depth):
        data = {"x": data}
    return data


def test_what_is_nested_without_end_is_refused(browser, lease):
    """Before anything walks down it."""
    for depth, status in ((10, 200), (17, 422), (400, 422)):
        said = lease("events", events=[{"kind": "trial", "data": nested(depth)}])
        assert said.status_code == status, depth
    refused(lease("finish", outcome="done", result=nested(400)), 422, "/problems/usage")


def test_what_no_json_can_hold_is_kept_as_nothing(browser, lease):
    """Python's own JSON reads NaN; a browser that follows the job does not."""
    content = b'{"token": 1, "events": [{"kind": "best", "data": {"median_us": NaN, "x": Infinity}}]}'
    said = browser.request("POST", "/v1/jobs/1/events", content=content, headers={"content-type": "application/json"})
    assert said.status_code == 200
    assert said.json()["best_us"] is None
