"""A worker runs the jobs of a server as `tune` would, and what it says of them is so."""

from dataclasses import replace

import pytest
from kerntune.cache.records import Failure, Incident
from kerntune.cache.sql import SqlStore
from kerntune.spaces.errors import DeviceError, NetworkError, NoCompiler, UsageError
from kerntune.tuner import settings
from kerntune.tuner.worker import job_run
from worker_server import words
from workers import TARGET, TERMS, AWorker, a_host, by_depth


def test_a_job_is_claimed_run_and_done(server):
    """Its end is said once its records are at the server."""
    job = server.submit(trials=6)
    seen = []
    server.on_call = lambda call: seen.append(len(server.records())) if call == "finish" else None
    worker = AWorker(server.url).once()
    ended = server.job(job.id)
    assert (ended.state, ended.worker, ended.tries) == ("done", "w", 0)
    records = server.records()
    assert len([record for record in records if record.phase == "search"]) == 6
    assert seen == [len(records)]
    best = server.store.best(records[0].key)
    assert (ended.result["digest"], ended.result["template"]) == (best.config.digest, "c_tiled")
    assert ended.result["trials"] == {"measured": 6, "failed": 0, "rejected": 0}
    assert worker.kinds()[:2] == ["started", "claimed"]
    assert worker.kinds()[-2:] == ["done", "stopped"]


def test_trials_and_bests_are_told_in_order(server):
    """The last best is the winner of the playoff; the queue counts the trials."""
    job = server.submit(trials=9)
    AWorker(server.url).once()
    events = server.queue.events(job.id)
    trials = [event.data for event in events if event.kind == "trial"]
    bests = [event.data for event in events if event.kind == "best"]
    assert [data["trial"] for data in trials] == list(range(1, 10))
    times = [data["median_us"] for data in bests]
    assert times == sorted(times, reverse=True)
    assert bests[-1]["phase"] == "playoff"
    assert events[-1].kind == "end"
    ended = server.job(job.id)
    assert (ended.trials, ended.best_us) == (9, bests[-1]["median_us"])


def test_a_long_silence_is_broken_by_how_far_it_is(server, monkeypatch):
    """Where nothing better was found for a while."""
    monkeypatch.setattr(job_run, "PROGRESS_S", 0.0)
    server.submit(trials=5)
    told = AWorker(server.url, a_host(lambda config: 10.0)).once().told("progress")
    assert [data["trial"] for data in told] == [2, 3, 4, 5]
    assert {data["median_us"] for data in told} == {10.0}


def test_failures_are_facts_and_their_reasons_are_told(server):
    """A config's own fault is a record like any other."""
    job = server.submit(trials=4)
    host = a_host(lambda config: by_depth(config) if config["NRV"] == 1 else Failure("incorrect", "off by one"))
    AWorker(server.url, host).once()
    failed = [record for record in server.records() if record.measurement is None]
    told = [e.data["failure"] for e in server.queue.events(job.id) if e.kind == "trial" and e.data["failure"]]
    assert told == [{"kind": "incorrect", "reason": "off by one"}] * len(failed)
    assert failed


def test_where_no_config_works_the_job_failed(server):
    """Nobody need try again."""
    job = server.submit(trials=3)
    worker = AWorker(server.url, a_host(lambda config: Failure("compile", "no"))).once()
    ended = server.job(job.id)
    assert ended.state == "failed"
    assert "3 configs were tried" in ended.error
    assert len(server.records()) == 3
    assert worker.told("failed") == [{"reason": ended.error}]


def test_an_answer_that_is_known_here_is_sent_and_nothing_measured(server):
    """A server that lost its database, or never had this machine's, has the records afterwards."""
    server.submit(1)
    AWorker(server.url).once()
    had = server.records()
    server.forget()
    again = server.submit(1)
    worker = AWorker(server.url, a_host(lambda config: 1 / 0)).once()
    assert worker.told("done")[0]["cached"]
    assert server.job(again.id).state == "done"
    assert sorted(map(repr, server.records())) == sorted(map(repr, had))


def test_an_answer_the_server_has_is_given_and_nothing_measured(server, tmp_path):
    """Another machine of the same target was there before; what it found stays out of this one's database."""
    server.submit(1)
    AWorker(server.url).once()
    again = server.submit(1)
    url = f"sqlite:///{tmp_path}/another.db"
    config = replace(settings.read(), db_url=url, cache_dir=tmp_path / "another")
    worker = AWorker(server.url, a_host(lambda config: 1 / 0), config=config).once()
    assert worker.told("done")[0]["cached"]
    assert server.job(again.id).state == "done"
    store = SqlStore.open(url)
    assert store.page().records == ()
    store.close()


def test_a_forced_job_measures_again(server):
    """Whatever is known."""
    server.submit(1, trials=3)
    AWorker(server.url).once()
    before = len(server.records())
    again = server.submit(1, trials=3, force=True)
    worker = AWorker(server.url).once()
    assert not worker.told("done")[0]["cached"]
    assert server.job(again.id).state == "done"
    assert len([record for record in server.records()[before:] if record.phase == "search"]) == 3


def test_three_incidents_in_a_row_give_the_job_back_and_end_the_worker(server):
    """As they end `tune`; the incidents are told."""
    job = server.submit()
    incidents = []
    server.store.add_incident = lambda key, incident: incidents.append(incident)
    with pytest.raises(DeviceError, match="3 troubles of the machine in a row"):
        AWorker(server.url, a_host(lambda config: Incident("device", "gone"))).once()
    left = server.job(job.id)
    assert (left.state, left.tries) == ("queued", 1)
    assert "3 troubles" in left.error
    assert incidents == [Incident("device", "gone")] * 3


def test_a_problem_too_large_for_this_machine_is_given_back(server):
    """Another one may have the memory; this one goes on with other jobs."""
    job = server.submit()
    worker = AWorker(server.url, a_host(memory_bytes=lambda: 100)).once()
    assert server.job(job.id).state == "queued"
    assert "GB free" in worker.told("given_back")[0]["reason"]


def test_once_with_nothing_queued_ends(server):
    """It says so."""
    worker = AWorker(server.url).once()
    assert worker.kinds() == ["started", "idle", "stopped"]


def test_once_without_a_server_says_so():
    """Exit 6, by its kind."""
    with pytest.raises(NetworkError, match="cannot be reached"):
        AWorker("http://127.0.0.1:9").once()


def test_a_server_that_is_not_there_yet_is_waited_for(server):
    """Said once; the first job is taken when it comes."""
    job = server.submit()
    server.go()
    with AWorker(server.url).working() as worker:
        server.wait(lambda: "waiting" in worker.kinds())
        server.come()
        server.wait(lambda: server.job(job.id).state == "done")
    assert worker.error is None
    assert worker.kinds().count("waiting") == 1
    assert "back" in worker.kinds()


def test_a_key_the_server_does_not_take_ends_the_worker(server):
    """Asking on would not mend it."""
    server.answers["claim"] = (403, "/problems/forbidden")
    with pytest.raises(UsageError, match="no jobs: claim is refused here A worker needs a key"):
        AWorker(server.url).work()


def test_without_a_compiler_no_job_is_claimed(server):
    """It would be taken from workers that have one."""
    server.submit()
    with pytest.raises(NoCompiler, match="no C compiler"):
        AWorker(server.url, a_host(notes={"compiler": "no C compiler was found"})).once()
    assert server.calls == []


def test_jobs_of_other_places_are_left_alone(server):
    """The queue hands out what this target and these backends can run."""
    job = server.submit(place="GPU X")
    AWorker(server.url).once()
    assert server.job(job.id).state == "queued"


def test_a_target_is_known_by_its_digest_once_its_worker_asked(server):
    """Jobs may name it then."""
    AWorker(server.url).once()
    job = server.submit(request={**words(), "device": None, "target": TARGET.digest}, place=TARGET.digest)
    assert server.store.target(TARGET.digest) == TARGET
    AWorker(server.url).once()
    assert server.job(job.id).state == "done"


def test_jobs_are_run_one_after_another(server):
    """By a worker that stays."""
    jobs = [server.submit(key, request=words(shape=(64, 48, 16 * key))) for key in (1, 2, 3)]
    with AWorker(server.url, terms=replace(TERMS, name="stays")).working():
        server.wait(lambda: all(server.job(job.id).state == "done" for job in jobs))
    assert {record.key.problem["k"] for record in server.records()} == {16, 32, 48}
