"""What lies in a spool reaches the server in order, whatever the server makes of it."""

from contextlib import closing, contextmanager

import pytest
from builders import a_key, a_record
from kerntune.cache.outcomes import Refused, Taken, Unreachable
from kerntune.cache.records import Incident
from kerntune.cache.remote_jobs import Uploaded
from kerntune.cache.spool import Spool
from kerntune.cache.wire_records import incident_to_json, record_to_json
from kerntune.spaces.errors import StoreError
from kerntune.tuner.worker import spools
from kerntune.tuner.worker.outage import Outage
from kerntune.tuner.worker.pauses import Pauses, StopSign
from kerntune.tuner.worker.sender import Sender
from kerntune.tuner.worker.spools import own_spool, take_over


class FakeServer:
    """Says what it is told to, then that it took it."""

    url = "http://fake"

    def __init__(self, *says, judge=None):
        self.says, self.judge, self.sent = list(says), judge, []

    def upload(self, records):
        self.sent.append([record["measurement"]["samples_us"][0] for record in records])
        said = self.judge(self.sent[-1]) if self.judge else None
        return said or (self.says.pop(0) if self.says else Uploaded(()))

    def report_incident(self, incident):
        self.sent.append(incident["kind"])
        return self.says.pop(0) if self.says else Taken()


def an_entry(us):
    return {"record": record_to_json(a_record(us=float(us)))}


@contextmanager
def sending(folder, server, *entries):
    """A sender at work on these entries: it, its spool, its news."""
    news = []
    with closing(Spool(folder)) as spool:
        for entry in entries:
            spool.append(entry)
        with closing(Sender(spool, server, news.append, Outage(news.append), Pauses(0.01, 0.02))) as sender:
            sender.start()
            yield sender, spool, news


def test_records_go_in_batches_and_incidents_between_them(tmp_path):
    """In the order in which they happened."""
    server = FakeServer()
    trouble = {"incident": incident_to_json(a_key(), Incident("disk", "full"))}
    with sending(tmp_path / "s", server, an_entry(1), an_entry(2), trouble, an_entry(3)) as (sender, _, _):
        assert sender.drain(10)
    assert server.sent == [[1.0, 2.0], "disk", [3.0]]


def test_a_server_that_is_away_is_asked_again_for_less_at_a_time(tmp_path):
    """It may have been too much in the time that is waited. That it went and that it came is said once each."""
    server = FakeServer(*[Unreachable("gone")] * 4)
    with sending(tmp_path / "s", server, an_entry(1), an_entry(2)) as (sender, _, news):
        assert sender.drain(10)
    assert server.sent == [[1.0, 2.0], [1.0], [1.0], [1.0], [1.0], [2.0]]
    assert [one.kind for one in news] == ["waiting", "back", "uploaded", "uploaded"]


def test_a_batch_that_is_too_large_is_halved_until_it_goes(tmp_path):
    """A record that is too large alone is set aside; no other is lost for it."""
    server = FakeServer(judge=lambda us: Refused(413, "too large") if len(us) > 2 or 5.0 in us else None)
    with sending(tmp_path / "s", server, *map(an_entry, range(1, 8))) as (sender, spool, news):
        assert sender.drain(10)
        assert list(sender.refused.values()) == ["too large"]
        assert len((spool.folder / "refused.jsonl").read_text().splitlines()) == 1
    kept = [us for batch in server.sent for us in batch if server.judge(batch) is None]
    assert kept == [1.0, 2.0, 3.0, 4.0, 6.0, 7.0]
    assert [one.data["reason"] for one in news if one.kind == "refused"] == ["too large"]


def test_what_is_neither_record_nor_incident_is_set_aside(tmp_path):
    """A spool that somebody wrote to holds up nothing."""
    server = FakeServer()
    with sending(tmp_path / "s", server, {"junk": 1}, an_entry(1)) as (sender, _, _):
        assert sender.drain(10)
    assert server.sent == [[1.0]]


def test_a_spool_that_cannot_be_read_ends_the_sender_with_its_reason(tmp_path):
    """Whoever waits for it hears of it."""
    server = FakeServer(*[Unreachable("gone")] * 10000)
    with sending(tmp_path / "s", server, an_entry(1)) as (sender, spool, _):
        (segment,) = spool.folder.glob("0*.jsonl")
        segment.unlink()
        assert not sender.drain(10)
        with pytest.raises(StoreError, match="cannot be read"):
            sender.check()


def test_a_sender_that_fell_over_holds_up_nobody(tmp_path):
    """Its trouble is ours, so whoever waits for it ends with a traceback."""
    server = FakeServer()
    with sending(tmp_path / "s", server) as (sender, spool, _):
        sender.close()
        spool.append(an_entry(1))
        assert not sender.drain(10)
        with pytest.raises(RuntimeError, match="has ended"):
            sender.check()


def test_each_worker_has_a_spool_and_takes_over_what_dead_ones_left(tmp_path):
    """Those of living ones are left alone."""
    with closing(own_spool(tmp_path)) as first, closing(own_spool(tmp_path)) as second:
        assert first.folder != second.folder
        first.append({"n": 1})
        second.append({"n": 2})
    with closing(own_spool(tmp_path)) as again:
        alive = own_spool(tmp_path)
        alive.close()
        assert take_over(tmp_path, again) == 1
        assert [entry.data for entry in again.pending()] == [{"n": 1}, {"n": 2}]
    with closing(own_spool(tmp_path)) as one, closing(own_spool(tmp_path)) as other:
        other.append({"n": 3})
        assert take_over(tmp_path, one) == 0


def test_more_workers_than_there_may_be_are_refused(tmp_path, monkeypatch):
    """A machine with so many is not meant."""
    monkeypatch.setattr(spools, "MOST_WORKERS", 1)
    with closing(own_spool(tmp_path)), pytest.raises(StoreError, match="stop one of them"):
        own_spool(tmp_path)


def test_pauses_double_up_to_a_bound_and_are_never_all_the_same():
    """Between half of a pause and all of it."""
    longest = Pauses(0.5, 3.0, share=lambda: 0.0)
    assert [longest.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    shortest = Pauses(0.5, 3.0, share=lambda: 1.0)
    assert [shortest.next_s() for _ in range(3)] == [0.25, 0.5, 1.0]
    shortest.reset()
    assert shortest.is_first


def test_a_stop_sign_ends_a_wait_and_the_second_time_says_at_once():
    """A Ctrl-C after the first means it."""
    sign = StopSign()
    sign.ask()
    sign.wait(1000)
    assert (sign.is_up, sign.at_once) == (True, False)
    sign.ask()
    assert sign.at_once


def test_a_long_outage_is_said_again(monkeypatch):
    """As often as a person wants to hear it."""
    news = []
    outage = Outage(news.append, say_every_s=0.0)
    outage.no_answer("gone", 3)
    outage.no_answer("gone", 5)
    outage.answer(5)
    outage.answer(0)
    told = [(one.kind, one.data["waiting"]) for one in news]
    assert told == [("waiting", 3), ("waiting", 5), ("back", 5)]
