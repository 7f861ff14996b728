"""POST /v1/jobs: what a study is asked for by, and what becomes of it."""

import pytest
from asking import GEMM, PATH, SHAPE, a_gemm_record, refused
from builders import a_target, a_winner
from kerntune.cache.jobs import MAX_PRIORITY
from kerntune.cache.memory import MemoryStore
from kerntune.server.schemas_jobs import SubmittedBody
from kerntune.spaces.errors import StoreError
from kerntune.templates.catalogue import templates_named
from kerntune.tuner.job_services import QueuedJobs
from kerntune.tuner.job_words import JobWords, Wish
from kerntune.tuner.serving import StoreServices

JOB = {"op": "gemm", "shape": "64x128x256"}
GPU = a_target()


@pytest.fixture
def known(store):
    """A server that knows GPU X."""
    store.add(a_gemm_record(layout="tt"))


def submitted(browser, **changes):
    response = browser.post("/v1/jobs", JOB | changes)
    assert response.status_code == 202, response.text
    SubmittedBody.model_validate(response.json())
    return response.json()


def words_of(body):
    return JobWords.from_json(body["job"]["request"])


def test_a_study_is_asked_for_and_its_job_is_named(browser, known):
    """202 with its place; the words are whole, and nothing is known meanwhile."""
    response = browser.post("/v1/jobs", JOB)
    body = response.json()
    assert (response.status_code, response.headers["location"]) == (202, "/v1/jobs/1")
    assert (body["is_new"], body["meanwhile"]) == (True, None)
    assert (body["job"]["state"], body["job"]["place"], body["job"]["backends"]) == (
        "queued",
        "GPU X",
        ["cuda", "triton"],
    )
    fields = dict(GEMM.problem("gpu", m=64, n=128, k=256).fields)
    assert words_of(body) == JobWords("gemm", fields, "gpu", "cold", device="GPU X")
    assert browser.get(response.headers["location"]).json() == body["job"]


def test_who_asks_again_gets_the_same_job(browser, known):
    """Whatever the wish; the higher of two priorities holds."""
    first, again = submitted(browser), submitted(browser, trials=5, priority=7)
    assert (again["is_new"], again["job"]["id"]) == (False, first["job"]["id"])
    assert again["job"]["priority"] == 7


def test_a_shape_may_be_said_dim_by_dim(browser, known):
    """As Python and the command line have it."""
    dims = browser.post("/v1/jobs", {"op": "gemm", "m": 64, "n": 128, "k": 256}).json()
    assert submitted(browser)["job"]["id"] == dims["job"]["id"]


def test_every_field_and_every_wish_reaches_the_words(browser, known):
    """None is left to a default that was not meant; null is as good as nothing."""
    fields = {"dtype": "fp8", "layout": "nt", "batch": 2, "epilogue": "bias+relu", "scales": "tensor"}
    wish = {"trials": 9, "time_s": 3, "sampler": "tpe", "seed": 4, "force": True, "templates": ["triton_tiled"]}
    words = words_of(submitted(browser, **fields, **wish, policy="warm", out_dtype=None, target=None))
    assert words.wish == Wish(9, 3.0, "tpe", 4, True, ("triton_tiled",))
    assert words.policy == "warm"
    assert {name: words.fields[name] for name in fields} == fields | {"dtype": "fp8e4m3"}


@pytest.mark.parametrize("word", ["gpu", "cuda", "GPU X", None])
def test_a_job_is_of_the_place_that_a_lookup_asks_about(browser, known, word, job_services):
    """So that its answer is what was missed."""
    place = {} if word is None else {"device": word}
    assert browser.get(PATH, params=SHAPE | place).status_code == 404
    body = submitted(browser, **place)
    job_services.close()
    (demand,) = browser.get("/v1/misses").json()["misses"]
    assert (demand["key"], demand["count"]) == (body["job"]["key"], 1)


@pytest.mark.parametrize(("word", "dtype"), [("cpu", "fp32"), ("gpu", "bf16"), ("cuda", "bf16")])
def test_an_empty_server_takes_jobs_for_any_device_of_a_kind(browser, word, dtype):
    """Whose worker is to come."""
    body = submitted(browser, device=word)
    words = words_of(body)
    assert (body["job"]["place"], words.kind, words.fields["dtype"]) == (words.kind, words.kind, dtype)


def test_a_registered_target_is_named_by_its_digest(browser):
    """Before any record is of it."""
    digest = browser.post("/v1/targets", GPU.as_dict()).json()["digest"]
    assert submitted(browser, target=digest)["job"]["place"] == digest == GPU.digest


@pytest.mark.parametrize(
    ("place", "type"),
    [
        ({}, "/problems/no-answer"),
        ({"device": "GPU Z"}, "/problems/no-answer"),
        ({"target": "f" * 32}, "/problems/unknown-target"),
    ],
)
def test_a_place_nobody_knows_of_gets_no_job(browser, place, type):
    """It would wait for ever."""
    refused(browser.post("/v1/jobs", JOB | place), 404, type)
    assert browser.get("/v1/jobs").json() == {"jobs": [], "next": None}


def test_a_kind_that_two_devices_share_is_refused_with_their_names(browser, store, known):
    """As a lookup has it."""
    store.add(a_gemm_record(target_changes={"name": "GPU Y"}))
    assert refused(browser.post("/v1/jobs", JOB), 422, "/problems/usage")["known"] == ["GPU X", "GPU Y"]


def test_a_problem_that_no_template_can_compute_gets_no_job(browser):
    """With the reason of each."""
    digest = browser.post("/v1/targets", a_target("cpu").as_dict()).json()["digest"]
    response = browser.post("/v1/jobs", JOB | {"target": digest, "dtype": "fp8"})
    body = refused(response, 404, "/problems/no-answer")
    assert "c_tiled: " in body["detail"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"op": None}, "op is None"),
        ({"op": "gem"}, 'Did you mean "gemm"'),
        ({"op": ["gemm"]}, "op is list"),
        ({"shape": None}, "shape is missing"),
        ({"shape": "64x128"}, "3 dims"),
        ({"shape": 64}, "shape is 64"),
        ({"m": 64}, "shape and m were both given"),
        ({"shape": None, "m": 64, "n": 1}, "k is missing"),
        ({"shape": None, "m": 64, "n": 1, "k": "1"}, "k is '1'"),
        ({"shape": None, "m": 64, "n": 1, "k": 2**31}, "gemm.k is"),
        ({"dtype": "fp3"}, 'Did you mean "fp32"'),
        ({"dtype": ["bf16"]}, "dtype is list"),
        ({"batch": 0}, "at least 1"),
        ({"batch": 1.5}, "at least 1"),
        ({"batch": 2**63}, "batch is"),
        ({"policy": "hot"}, "cold, warm"),
        ({"device": ""}, "device is ''"),
        ({"device": "x\x1b[2J"}, "without control characters"),
        ({"trials": 0}, "trials is 0"),
        ({"trials": 10**9}, "trials is"),
        ({"time_s": "60"}, "time_s is '60'"),
        ({"sampler": "bayes"}, '"bayes" is not a sampler'),
        ({"seed": -1}, "seed is -1"),
        ({"force": 1}, "force is 1"),
        ({"templates": "c_tiled"}, "templates is 'c_tiled'"),
        ({"templates": ["nothing"]}, "is not a template"),
        ({"priority": -1}, "priority is -1"),
        ({"priority": MAX_PRIORITY + 1}, "priority is 101"),
        ({"driver": "550"}, '"driver" is not a word of a job of gemm'),
        ({"trails": 5}, 'Did you mean "trials"'),
        ({"y" * 10_000: 5}, "y" * 20),
        ({"x\x1b": 5}, "is not a word"),
        ({"source": "__global__ void k() {}"}, "is not a word"),
    ],
)
def test_words_that_are_off_are_refused_and_mended(browser, known, change, said):
    """What, where, how to mend; an unknown word is never passed over."""
    body = refused(browser.post("/v1/jobs", JOB | change), 422, "/problems/usage")
    assert said in body["detail"]
    assert body["detail"].isprintable()
    assert len(body["detail"]) < 2001


@pytest.mark.parametrize(("content", "status"), [(b"{", 422), (b"[]", 422), (b"", 422), (b'{"op": "gemm"} x', 422)])
def test_a_body_that_is_no_object_is_refused(browser, content, status):
    """As a problem body."""
    response = browser.request("POST", "/v1/jobs", content=content, headers={"content-type": "application/json"})
    refused(response, status, "/problems/usage")


def test_meanwhile_there_is_the_best_that_is_known(browser, store):
    """Of another shape, where nothing else is."""
    (tiled,) = templates_named("gemm", ["triton_tiled"])
    store.add(a_winner(GEMM.problem("gpu", m=4096, n=4096, k=4096), 180.0, tiled, None, GPU))
    near = submitted(browser, shape="4096x4096x2048")["meanwhile"]
    assert (near["match"], near["template"]) == ("near", "triton_tiled")


def test_who_asked_is_kept_with_the_job(browser, known):
    """As the layer that checks keys says it."""

    async def keyed(scope, receive, send):
        await browser.app({**scope, "kerntune.key_name": "ada"}, receive, send)

    assert submitted(type(browser)(keyed))["job"]["created_by"] == "ada"
    assert submitted(browser, shape="1x1x1")["job"]["created_by"] == ""


def test_a_failing_store_is_503_and_makes_no_job(browse, queue):
    """The caller may come back."""

    class LostStore(MemoryStore):
        def targets(self):
            raise StoreError("gone: look for it.")

    response = browse(StoreServices(MemoryStore()), QueuedJobs(queue, LostStore())).post("/v1/jobs", JOB)
    refused(response, 503, "/problems/store")
    assert queue.page() == []
