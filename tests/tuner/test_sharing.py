"""tune … --server: a study on this machine that a server takes part in."""

from contextlib import closing

import pytest
from kerntune.cache.refusals import printable
from kerntune.spaces.errors import UsageError
from kerntune.tuner import api, settings, sharing, tuning, wiring
from kerntune.tuner.budget import Budget
from worker_server import WorkerServer
from workers import a_host

FIELDS = {"m": 64, "n": 64, "k": 64}


@pytest.fixture
def server():
    made = WorkerServer()
    made.come()
    yield made
    made.go()


def shared(server, trials=5, host=None):
    """The report, and what was told of the server."""
    told = []
    request = tuning.Request("gemm", FIELDS, budget=Budget(trials, 60.0))
    report = sharing.run(request, server.url, tuning.Watch(), told.append, host or a_host())
    return report, told


def local_records(report):
    with closing(wiring.open_store(settings.read())) as store:
        return store.records(report.record.key)


def test_every_record_is_kept_here_and_there(server):
    """And the answer is the study's own."""
    report, told = shared(server)
    assert not report.cached
    assert set(server.store.records(report.record.key)) == set(local_records(report))
    assert report.record in server.store.records(report.record.key)
    assert [news.kind for news in told if news.kind not in ("uploaded",)] == []


def test_what_the_server_knows_is_not_measured_again(server, monkeypatch, tmp_path):
    """On another machine, with a database of its own."""
    first, _ = shared(server)
    monkeypatch.setenv("KERNTUNE_DB", f"sqlite:///{tmp_path / 'another.db'}")
    again, _ = shared(server, host=a_host(lambda config: pytest.fail("measured")))
    assert again.cached
    assert again.record == first.record
    assert local_records(again) == []


def test_what_this_machine_knows_reaches_the_server_with_it(server):
    """Though it was measured before anybody shared."""
    alone = tuning.run(tuning.Request("gemm", FIELDS, budget=Budget(3, 60.0)), host=a_host())
    report, _ = shared(server)
    assert report.cached
    assert set(server.store.records(alone.record.key)) == set(local_records(alone))


def test_a_server_that_is_away_holds_nothing_up_and_gets_the_records_next_time(server):
    """It is said, with how many wait."""
    server.go()
    report, told = shared(server)
    kinds = [news.kind for news in told]
    assert (kinds[0], kinds[-1]) == ("warning", "stopped")
    assert told[-1].data["waiting"] == len(local_records(report))
    assert "wait on disk" in sharing.words_of(told[-1])
    server.come()
    shared(server)
    assert set(server.store.records(report.record.key)) == set(local_records(report))


def test_a_key_that_may_not_record_is_told_and_the_study_stands(server):
    """The records wait for a key that may."""
    server.answers["records"] = (403, "/problems/forbidden")
    report, told = shared(server)
    assert len(local_records(report)) > 0
    assert any("scope `record`" in printable(sharing.words_of(news)) for news in told)


def test_an_address_that_is_none_is_refused_before_anything_is_measured(server):
    """A typing error does not cost a study."""
    request = tuning.Request("gemm", FIELDS, budget=Budget(3, 60.0))
    with pytest.raises(UsageError, match="http://"):
        sharing.run(request, "tuner.example", tuning.Watch(), print, a_host(lambda config: pytest.fail("measured")))


def test_trouble_with_the_server_is_a_warning_in_python(server, monkeypatch):
    """The answer is given."""
    server.go()
    monkeypatch.setattr(wiring, "open_host", lambda device, config: a_host())
    with pytest.warns(RuntimeWarning) as told:
        answer = api.tune("gemm", **FIELDS, trials=3, server=server.url)
    assert any("wait on disk" in str(one.message) for one in told)
    assert answer.match == "exact"
