"""POST /v1/lookup: many problems in one call, each answered for itself, with jobs for those that are missed."""

import pytest
from builders import a_target, a_winner
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.serving import StoreServices

TARGET = a_target(nvrtc="13.0.88")
OP = op_named("gemm")
(TILED,) = templates_named("gemm", ["triton_tiled"])


def known(m, n, k, us=180.0):
    return a_winner(OP.problem("gpu", m=m, n=n, k=k, layout="nt"), us, TILED, None, TARGET)


def asked(shape, **words):
    return {"op": "gemm", "shape": shape, "layout": "nt", **words}


def looked_up(browser, *problems, **words):
    """The replies; the request is good."""
    response = browser.post("/v1/lookup", {"problems": list(problems), "target": TARGET.digest, **words})
    assert response.status_code == 200, response.text
    return response.json()["replies"]


def test_each_problem_is_answered_in_order_as_it_would_be_alone(browser, store):
    """The very JSON of GET /v1/configs; a miss says nothing."""
    store.add_many([known(4096, 4096, 4096), known(1024, 1024, 1024, 9.0)])
    first, missed, last = looked_up(browser, asked("1024x1024x1024"), asked("64x64x64"), asked("4096x4096x4096"))
    alone = browser.get(f"/v1/configs/gemm?shape=1024x1024x1024&layout=nt&target={TARGET.digest}").json()
    assert first == {"answer": alone, "job": None, "meanwhile": None, "refusal": None}
    assert missed == dict.fromkeys(first)
    assert last["answer"]["median_us"] == 180.0


def test_dims_may_be_said_by_their_letters_and_a_problems_own_word_counts_more(browser, store):
    """What is said once is for those that say nothing."""
    store.add(known(4096, 4096, 4096))
    dims = {"op": "gemm", "m": 4096, "n": 4096, "k": 2048, "layout": "nt"}
    near, stale = looked_up(browser, {**dims, "min_match": "near"}, dims, min_match="stale")
    assert near["answer"]["match"] == "near"
    assert stale["answer"] is None


def test_a_word_that_is_off_spoils_one_problem_alone(browser, store):
    """With the body that it would have had alone, and its place where it is no problem at all."""
    store.add(known(4096, 4096, 4096))
    wrong, other, right = looked_up(
        browser, asked("4096x4096"), asked("4096x4096x4096", target="0" * 32), asked("4096x4096x4096")
    )
    assert (wrong["refusal"]["type"], wrong["refusal"]["status"]) == ("/problems/usage", 422)
    assert other["refusal"]["type"] == "/problems/unknown-target"
    assert right["answer"] is not None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "list of 1 to 500"),
        ({"problems": []}, "list of 1 to 500"),
        ({"problems": "all"}, "list of 1 to 500"),
        ({"problems": [asked("1x1x1")] * 501}, "list of 1 to 500"),
        ({"problems": [7]}, r"problems[0]"),
        ({"problems": [asked("1x1x1")], "on_mis": "tune"}, "on_miss"),
        ({"problems": [asked("1x1x1")], "on_miss": "error"}, "on_miss"),
        ({"problems": [asked("1x1x1")], "generation": 0}, "generation"),
        ({"problems": [asked("1x1x1")], "on_miss": "tune", "trials": 0}, "trials"),
    ],
)
def test_a_body_that_is_off_is_refused_whole(browser, body, said):
    """And nothing is asked of the store, nor of the queue."""
    response = browser.post("/v1/lookup", body)
    assert response.status_code == 422
    assert said in response.json()["detail"]


def test_a_miss_makes_one_job_whoever_misses_it_and_says_what_is_known_meanwhile(browser, store, queue):
    """Within a call and between calls; what is known needs none."""
    store.add(known(4096, 4096, 4096))
    words = {"on_miss": "tune", "trials": 7}
    hit, one, other = looked_up(
        browser, asked("4096x4096x4096"), asked("4096x4096x2048"), asked("4096x4096x2048"), **words
    )
    (again,) = looked_up(browser, asked("4096x4096x2048"), **words)
    assert hit["job"] is None
    assert one["job"] == other["job"] == again["job"] == 1
    assert one["answer"] is None
    assert one["meanwhile"]["match"] == "near"
    (job,) = queue.page()
    assert job.request["trials"] == 7
    assert queue.top_misses()[0].count == 3


def test_a_miss_without_a_job_is_demand(browser, store, queue, job_services):
    """It tells what should be tuned."""
    store.add(known(4096, 4096, 4096))
    looked_up(browser, asked("64x64x64"), asked("64x64x64"))
    job_services.close()
    assert queue.top_misses()[0].count == 2
    assert queue.page() == []


def test_a_job_that_no_template_can_do_is_refused_and_the_others_are_made(browser, store, queue):
    """One bad problem is not all of them."""
    store.add(known(4096, 4096, 4096))
    wrong, right = looked_up(browser, asked("1x1x1", templates=["none"]), asked("64x64x64"), on_miss="tune")
    assert wrong["refusal"]["status"] == 422
    assert right["job"] == 1


def test_a_device_nobody_knows_yet_may_be_tuned_by_its_kind(browser):
    """The first program of a fleet asks an empty server."""
    body = {"problems": [{"op": "gemm", "shape": "64x64x64"}], "device": "gpu", "on_miss": "tune"}
    (reply,) = browser.post("/v1/lookup", body).json()["replies"]
    assert reply["job"] == 1


def test_a_generation_answers_from_itself_alone(browser):
    """One that there is not is refused."""
    body = {"problems": [asked("64x64x64")], "target": TARGET.digest, "generation": 3}
    response = browser.post("/v1/lookup", body)
    assert (response.status_code, response.json()["type"]) == (404, "/problems/unknown-generation")


def test_a_server_without_jobs_makes_none(store, browse):
    """And says so; without the word it answers."""
    store.add(known(4096, 4096, 4096))
    alone = browse(StoreServices(store))
    body = {"problems": [asked("4096x4096x4096")], "target": TARGET.digest}
    assert alone.post("/v1/lookup", body).json()["replies"][0]["answer"] is not None
    assert alone.post("/v1/lookup", {**body, "on_miss": "tune"}).status_code == 422


def test_a_key_without_submit_asks_but_makes_no_jobs(browser, store):
    """What the layer that knows the key says of it counts."""
    app = browser.app

    async def as_reader(scope, receive, send):
        await app({**scope, "kerntune.scopes": frozenset({"read"})}, receive, send)

    browser.app = as_reader
    store.add(known(4096, 4096, 4096))
    body = {"problems": [asked("64x64x64")], "target": TARGET.digest}
    assert browser.post("/v1/lookup", body).status_code == 200
    refused = browser.post("/v1/lookup", {**body, "on_miss": "tune"})
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/forbidden")


def test_jobs_of_a_batch_count_in_the_quota_of_the_key(browser, store, queue):
    """Of those beyond it each problem is told when to come again; what is known is answered."""
    app, waits_s = browser.app, iter((0.0, 0.0, 90.5))

    async def with_quota(scope, receive, send):
        await app({**scope, "kerntune.submit_wait_s": lambda: next(waits_s)}, receive, send)

    browser.app = with_quota
    store.add(known(4096, 4096, 4096))
    shapes = ("64x64x64", "4096x4096x4096", "64x64x128", "64x64x256")
    first, hit, second, third = looked_up(browser, *map(asked, shapes), on_miss="tune")
    assert (first["job"], second["job"]) == (1, 2)
    assert hit["answer"] is not None
    assert (third["job"], third["refusal"]["type"], third["refusal"]["status"]) == (None, "/problems/too-many", 429)
    assert "90.5 s" in third["refusal"]["detail"]
