"""RemoteJobs against a real server: what a worker says is what the queue keeps, and whatever fails is a value."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from asking import GEMM, a_gemm_record
from builders import a_target
from kerntune.cache.jobs import Happening
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_jobs import MemoryJobs
from kerntune.cache.outcomes import LeaseEnded, Refused, Taken, Unreachable
from kerntune.cache.records import Policy, RecordKey
from kerntune.cache.remote_jobs import Beat, Claimed, Nothing, RemoteJobs, Uploaded
from kerntune.cache.wire_records import record_to_json
from kerntune.server.app import create_app
from kerntune.tuner.job_services import QueuedJobs
from kerntune.tuner.job_words import JobWords, Wish
from kerntune.tuner.lookup import Query
from kerntune.tuner.record_services import StoreRecordServices
from kerntune.tuner.serving import StoreServices
from record_server import NoChecks, served

GPU, LEASE_S = a_target(), 30.0
QUERY = Query(GEMM.problem("gpu", m=64, n=128, k=256), Policy.default_for("gpu"), GPU)


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def queue():
    return MemoryJobs()


@pytest.fixture
def services(queue, store):
    with closing(QueuedJobs(queue, store)) as made:
        yield made


@pytest.fixture
def remote(store, services):
    records = StoreRecordServices(store, NoChecks())
    app = create_app(StoreServices(store), record_services=records, job_services=services)
    with served(app) as url:
        yield RemoteJobs(url)


@pytest.fixture
def job(services):
    return services.submit(QUERY, Wish(trials=3)).job


def claimed(remote):
    found = remote.claim("w", GPU, ["triton", "cuda"], LEASE_S)
    assert isinstance(found, Claimed), found
    return found


def test_a_worker_registers_and_finds_nothing_to_do(remote, store):
    """An idle one is no failure."""
    assert remote.register(GPU) == Taken()
    assert store.target(GPU.digest) == GPU
    assert remote.claim("w", GPU, ["triton"], LEASE_S) == Nothing()


def test_a_job_goes_from_claim_to_its_end(remote, services, job, store):
    """Told step by step, its records beside it."""
    ours = claimed(remote)
    assert (ours.id, ours.op, ours.token) == (job.id, "gemm", 1)
    assert JobWords.from_json(ours.request) == JobWords.from_json(job.request)
    assert remote.heartbeat(ours, LEASE_S) == Beat(cancel=False)
    happened = [Happening("trial", {"n": 1, "config": {"BLOCK_M": 64}}), Happening("best", {"median_us": 9.5})]
    assert remote.add_events(ours, happened) == Taken()
    record = a_gemm_record()
    assert remote.upload([record_to_json(record)]) == Uploaded(())
    assert store.best(RecordKey(record.key.problem, record.key.target, record.key.policy)) == record
    for _ in range(2):
        assert remote.finish(ours, "done", result={"median_us": 9.5}) == Taken()
    done = services.get(job.id)
    assert (done.state, done.trials, done.best_us, done.result) == ("done", 1, 9.5, {"median_us": 9.5})
    assert remote.claim("w", GPU, ["triton"], LEASE_S) == Nothing()


def test_a_cancelled_job_is_heard_of_by_the_heartbeat(remote, services, job):
    """And whatever else is said of it is too late."""
    ours = claimed(remote)
    services.cancel(job.id)
    assert remote.heartbeat(ours, LEASE_S) == Beat(cancel=True)
    assert isinstance(remote.finish(ours, "done"), LeaseEnded)


def test_a_lease_that_another_worker_has_is_over(remote, queue, job):
    """The one who was away learns it by any word."""
    ours = claimed(remote)
    queue.expire(datetime.now(UTC) + timedelta(seconds=LEASE_S + 1))
    theirs = claimed(remote)
    assert theirs.token == ours.token + 1
    for said in (
        remote.heartbeat(ours, LEASE_S),
        remote.add_events(ours, [Happening("trial", {})]),
        remote.finish(ours, "failed", error="no"),
    ):
        assert isinstance(said, LeaseEnded)
        assert "token 1" in said.reason
    assert remote.heartbeat(theirs, LEASE_S) == Beat(cancel=False)


def test_a_job_given_back_is_for_another_worker(remote, services, job):
    """With the reason it was given back for."""
    assert remote.finish(claimed(remote), "retry", error="the disk is full") == Taken()
    back = services.get(job.id)
    assert (back.state, back.tries, back.error) == ("queued", 1, "the disk is full")


def test_a_job_the_server_has_lost_is_over_too(remote):
    """Its database was replaced: there is nothing to go on with."""
    assert isinstance(remote.heartbeat(Claimed(7, 1, "gemm", {}), LEASE_S), LeaseEnded)


def test_what_a_server_refuses_and_one_that_is_gone_are_told_apart(remote, job):
    """The first will say the same again, the second may do later."""
    refused = remote.claim("w" * 1000, GPU, ["triton"], LEASE_S)
    assert isinstance(refused, Refused)
    assert refused.status == 422
    assert isinstance(RemoteJobs("http://127.0.0.1:9").claim("w", GPU, ["triton"], LEASE_S), Unreachable)
