"""Servers go away, say no, and come back: nothing that was measured is lost, and nothing is there twice."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from kerntune.cache.rules import at_the_door
from kerntune.cache.wire_records import record_digest
from kerntune.spaces.errors import NetworkError, UsageError
from kerntune.tuner import settings, wiring
from worker_server import words
from workers import TERMS, AWorker, a_host, by_depth, spooled


def judged(times, then):
    """A judge that does something once it was asked so many times."""
    asked = []

    def judge(config):
        asked.append(config)
        if len(asked) == times:
            then()
        return by_depth(config)

    return judge


def local_digests():
    """Of all that this machine measured."""
    store = wiring.open_store(settings.read())
    try:
        return Counter(record_digest(at_the_door(record)) for record in store.page().records)
    finally:
        store.close()


def test_a_server_gone_in_mid_study_gets_everything_when_it_is_back(server):
    """The study goes on meanwhile; what it finds waits on disk, and the job's end waits for it."""
    job = server.submit(trials=12)
    folder = settings.read().cache_dir / "spool"
    worker = AWorker(server.url, a_host(judged(5, server.go)))
    with worker.working():
        server.wait(lambda: local_digests().total() > 12)
        assert len(server.records()) <= 5
        assert spooled(folder) >= 8
        server.wait(lambda: worker.told("waiting"))
        server.come()
        server.wait(lambda: server.job(job.id).state == "done")
    assert worker.error is None
    assert Counter(map(record_digest, server.records())) == local_digests()
    assert worker.told("waiting")[0]["waiting"] > 0
    assert spooled(folder) == 0


def test_answers_that_get_lost_send_records_twice_and_keep_them_once(server):
    """The server had taken them when the connection broke."""
    job = server.submit(trials=8)
    broken = []

    def spoil(call):
        if call == "records" and len(broken) < 3:
            broken.append(call)
            before = server.store.add_many
            server.store.add_many = lambda records: (before(records), setattr(server.store, "add_many", before), 1 / 0)

    server.on_call = spoil
    worker = AWorker(server.url)
    with worker.working():
        server.wait(lambda: server.job(job.id).state == "done")
    assert len(broken) == 3
    assert Counter(map(record_digest, server.records())) == local_digests()


def test_a_job_that_is_cancelled_stops_and_its_records_are_kept(server):
    """What was measured is a fact, whoever wanted it."""
    job = server.submit(trials=5000)
    worker = AWorker(server.url, a_host(judged(20, lambda: server.jobs.cancel(job.id))))
    with worker.working():
        server.wait(lambda: "dropped" in worker.kinds())
        server.wait(lambda: Counter(map(record_digest, server.records())) == local_digests())
    assert server.job(job.id).state == "cancelled"
    assert 20 <= len(server.records()) < 5000
    assert "cancelled" in worker.told("dropped")[0]["reason"]


def test_a_lease_that_was_lost_drops_the_job_but_not_its_records(server):
    """Another worker has it by then; nothing this one says of it counts."""
    job = server.submit(trials=5000)

    def lose():
        server.ahead += timedelta(seconds=100)
        server.jobs.get(job.id)  # gives it back to the queue
        assert server.jobs.claim("other", a_host().target, ["cpu"], 1000.0).job.id == job.id

    worker = AWorker(server.url, a_host(judged(10, lose)))
    with worker.working():
        server.wait(lambda: "dropped" in worker.kinds())
        server.wait(lambda: Counter(map(record_digest, server.records())) == local_digests())
    held = server.job(job.id)
    assert (held.state, held.worker) == ("running", "other")
    assert server.calls.count("finish") == 0


def test_a_lease_lost_while_the_server_was_away_drops_the_result(server):
    """The records are sent all the same, and the next worker answers from them at once."""
    job = server.submit(trials=6)
    worker = AWorker(server.url, a_host(judged(3, server.go)))
    with worker.working():
        server.wait(lambda: local_digests().total() > 6)
        server.ahead += timedelta(seconds=100)
        server.jobs.get(job.id)
        assert server.jobs.claim("other", a_host().target, ["cpu"], 1.0)
        server.come()
        server.wait(lambda: "dropped" in worker.kinds())
        server.ahead += timedelta(seconds=100)  # the other died of it
        server.wait(lambda: server.job(job.id).state == "done")
    assert worker.told("done")[0]["cached"]
    assert Counter(map(record_digest, server.records())) == local_digests()


def test_a_stopped_worker_gives_its_job_back_with_what_it_has(server):
    """Another goes on from there."""
    job = server.submit(trials=5000)
    worker = AWorker(server.url)
    worker.host = a_host(judged(10, worker.stop.ask))
    worker.work()
    left = server.job(job.id)
    assert (left.state, left.error) == ("queued", "the worker was stopped")
    assert Counter(map(record_digest, server.records())) == local_digests()
    assert worker.told("stopped") == [{"waiting": 0}]


def test_a_worker_that_is_to_end_at_once_leaves_its_job_to_the_lease(server):
    """A second Ctrl-C: what was measured is on disk, the study makes no end of its own of it."""
    job = server.submit(trials=5000)
    worker = AWorker(server.url)

    def twice():
        worker.stop.ask()
        worker.stop.ask()
        raise KeyboardInterrupt

    worker.host = a_host(judged(10, twice))
    with pytest.raises(KeyboardInterrupt):
        worker.work()
    assert server.job(job.id).state == "running"
    server.submit(2, request=words(shape=(32, 32, 32)))
    AWorker(server.url).once()
    assert local_digests() <= Counter(map(record_digest, server.records()))


def test_what_an_earlier_worker_left_is_sent_before_anything_is_claimed(server):
    """One that was stopped while the server was away."""
    server.submit(trials=5000)
    worker = AWorker(server.url)
    worker.host = a_host(judged(10, lambda: (server.go(), worker.stop.ask())))
    worker.work()
    assert worker.told("stopped")[0]["waiting"] > 0
    server.come()
    server.calls.clear()
    AWorker(server.url).once()
    assert "records" in server.calls[: server.calls.index("claim")]
    assert Counter(map(record_digest, server.records())) == local_digests()


def test_once_gives_up_on_a_server_that_does_not_come_back(server):
    """With its records on disk, which it says."""
    server.submit(trials=6)
    with pytest.raises(NetworkError, match=r"cannot be reached.*Records left on disk"):
        AWorker(server.url, a_host(judged(3, server.go))).once()


def test_records_that_are_refused_are_set_aside_and_said(server):
    """The others are kept; of a winner that was refused there is no answer, so its job failed."""
    job = server.submit(trials=6)
    host = a_host(lambda config: 1e13 if config["NRV"] != 1 else by_depth(config))
    worker = AWorker(server.url, host).once()
    refused = worker.told("refused")
    assert refused
    assert "samples_us" in refused[0]["reason"]
    assert server.job(job.id).state == "done"
    (aside,) = (settings.read().cache_dir / "spool").rglob("refused.jsonl")
    assert len(aside.read_text().splitlines()) == len(refused)


def test_a_job_whose_winner_is_refused_failed(server):
    """Nobody could look it up."""
    job = server.submit(trials=4)
    AWorker(server.url, a_host(lambda config: 1e-7)).once()
    ended = server.job(job.id)
    assert ended.state == "failed"
    assert ended.error.startswith("the server refused the record of the winner: ")
    assert server.records() == []


def test_a_key_that_may_not_record_ends_the_worker_with_its_records_on_disk(server):
    """They are sent once it may."""
    server.submit(trials=4)
    server.answers["records"] = (403, "/problems/forbidden")
    with pytest.raises(UsageError, match="scope `record`"):
        AWorker(server.url).work()
    server.answers.clear()
    AWorker(server.url).once()
    assert Counter(map(record_digest, server.records())) == local_digests()


@pytest.mark.parametrize(
    ("off", "reason"),
    [
        ({"op": "sort"}, "the job is of gemm, its words of sort"),
        ({"templates": ["my_own"]}, '"my_own" is not a template of gemm'),
        ({"sampler": "oracle"}, '"oracle" is not a sampler'),
        ({"trials": 0}, "job.trials is 0"),
        ({"fields": {"m": 64}}, "gemm"),
        ({"device": "GPU X"}, "the job is for GPU X"),
        ({"fields": {**words()["fields"], "dtype": "fp32'; rm"}}, "fp32'; rm"),
        ({"fields": {**words()["fields"], "colour": 3}}, "colour"),
    ],
)
def test_words_that_are_off_fail_the_job_before_anything_is_made_of_them(server, off, reason):
    """A server is a stranger; it has no source to offer, and no word of its that is none of ours is rendered."""
    job = server.submit(request=words() | off)
    AWorker(server.url, a_host(lambda config: 1 / 0)).once()
    ended = server.job(job.id)
    assert ended.state == "failed"
    assert reason in ended.error
    assert server.records() == []


def test_a_heartbeat_without_an_answer_ends_nothing(server):
    """Leases hold until somebody says no."""
    server.answers["heartbeat"] = (429, "/problems/quota")
    job = server.submit(trials=30)
    AWorker(server.url, terms=replace(TERMS, beat_s=0.01)).once()
    assert server.job(job.id).state == "done"


def test_events_that_are_refused_hold_up_nothing(server):
    """Records are what counts; it is said once."""
    server.answers["events"] = (422, "/problems/usage")
    job = server.submit(trials=30)
    worker = AWorker(server.url).once()
    assert server.job(job.id).state == "done"
    assert [data["reason"] for data in worker.told("warning")] == ["events are not taken: events is refused here"]
