"""Jobs as the server asks for them: queries in, jobs out; leases, misses and answers beside them."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest
from builders import a_target, a_winner
from job_builders import LEASE_S, NOW
from kerntune.cache.jobs import Happening
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_jobs import MemoryJobs
from kerntune.cache.records import Policy
from kerntune.cache.refusals import UnknownJob
from kerntune.spaces.errors import StoreError
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.job_services import QueuedJobs
from kerntune.tuner.job_words import Wish
from kerntune.tuner.lookup import Query, Stated

GEMM, GPU, CPU = op_named("gemm"), a_target(), a_target("cpu")
(TILED,) = templates_named("gemm", ["triton_tiled"])


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def services(store, clock):
    with closing(QueuedJobs(MemoryJobs(), store, clock)) as made:
        yield made


def a_query(where=GPU, kind="gpu", **fields):
    problem = GEMM.problem(kind, **{"m": 64, "n": 128, "k": 256} | fields)
    return Query(problem, Policy.default_for(kind), where)


def test_of_many_who_miss_one_key_all_get_one_job(services):
    """And it is more urgent for each doubling of them."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: services.missed([a_query()]), range(64)))
    assert {job.id for (job,) in found} == {1}
    assert services.get(1).priority == 7
    (demand,) = services.top_misses(10)
    assert demand.count == 64


def test_each_of_several_misses_has_its_own_job(services):
    """In their order, with the wish and the name of who asks."""
    first, second, again = services.missed([a_query(), a_query(m=1), a_query()], Wish(trials=3), "ada")
    assert (first.id, second.id, again.id) == (1, 2, 1)
    assert (second.request["trials"], second.created_by) == (3, "ada")


def test_misses_noted_in_passing_are_demand_once_they_are_flushed(services):
    """Of a device that is known by name too."""
    for _ in range(3):
        services.note_miss(a_query())
    services.note_miss(a_query(Stated("cpu"), "cpu", m=1))
    services.close()
    dear, cheap = services.top_misses(10)
    assert (dear.count, dear.request["target"]) == (3, GPU.digest)
    assert (cheap.count, cheap.request["kind"]) == (1, "cpu")


def test_noting_a_miss_raises_nothing_while_the_store_is_away(clock):
    """The lookup that missed has its answer."""

    class LostStore(MemoryStore):
        def targets(self):
            raise StoreError("gone")

    services = QueuedJobs(MemoryJobs(), LostStore(), clock)
    services.note_miss(a_query())
    services.close()
    assert services.top_misses(10) == []


@pytest.mark.parametrize("where", [GPU, Stated("GPU X"), Stated("gpu")])
def test_a_worker_is_given_jobs_of_its_target_its_device_and_its_kind(services, where):
    """If it has one of the backends."""
    job = services.submit(a_query(where), Wish()).job
    assert services.claim("w", CPU, ["cpu"], LEASE_S) is None
    assert services.claim("w", GPU, ["cpu"], LEASE_S) is None
    claim = services.claim("w", GPU, ["triton"], LEASE_S)
    assert (claim.job.id, claim.token, claim.job.worker) == (job.id, 1, "w")


def test_a_worker_that_asks_makes_its_target_known(services, store):
    """So a job can name it by its digest."""
    assert services.target(GPU.digest) is None
    services.claim("w", GPU, ["triton"], LEASE_S)
    assert services.target(GPU.digest) == GPU
    store.add_target = None  # it is told once
    services.claim("w", GPU, ["triton"], LEASE_S)


def test_who_looks_at_a_job_sees_a_lease_that_ran_out(services, clock):
    """Even where no worker asks for one."""
    job = services.submit(a_query(), Wish()).job
    services.claim("w", GPU, ["triton"], LEASE_S)
    clock.now += timedelta(seconds=LEASE_S + 1)
    assert services.get(job.id).state == "queued"
    assert [job.tries for job in services.page("queued", None, 10)] == [1]


def test_who_looks_often_searches_for_such_leases_once_a_second(services, clock, monkeypatch):
    """Two hundred may follow jobs at once."""
    searched = []
    monkeypatch.setattr(MemoryJobs, "expire", lambda self, now: searched.append(now))
    for _ in range(30):
        services.page(None, None, 1)
        clock.now += timedelta(seconds=0.1)
    assert len(searched) == 3


def test_what_happened_ends_with_the_end(services):
    """What comes before it is told first, from any place."""
    job = services.submit(a_query(), Wish()).job
    claim = services.claim("w", GPU, ["triton"], LEASE_S)
    assert services.happened(job.id, 0) == ([], False)
    assert not services.heartbeat(job.id, claim.token, LEASE_S)
    services.add_events(job.id, claim.token, [Happening("trial", {"n": 1}), Happening("best", {"median_us": 5.0})])
    services.finish(job.id, claim.token, "done", None, {"median_us": 5.0})
    events, is_over = services.happened(job.id, 0)
    assert ([event.kind for event in events], is_over) == (["trial", "best", "end"], False)
    assert services.happened(job.id, events[-1].id) == ([], True)
    with pytest.raises(UnknownJob):
        services.happened(7, 0)


def test_meanwhile_there_is_the_answer_of_another_shape(services, store):
    """Better than none."""
    query = a_query(m=4096, n=4096, k=2048)
    assert services.known_meanwhile(query) is None
    store.add(a_winner(GEMM.problem("gpu", m=4096, n=4096, k=4096), 180.0, TILED, None, GPU))
    assert services.known_meanwhile(a_query(m=4096, n=4096, k=1024)).match == "near"


def test_a_cancelled_job_tells_its_worker(services):
    """And nobody gets it any more."""
    job = services.submit(a_query(), Wish()).job
    claim = services.claim("w", GPU, ["triton"], LEASE_S)
    assert services.cancel(job.id).state == "cancelled"
    assert services.heartbeat(job.id, claim.token, LEASE_S) is True
