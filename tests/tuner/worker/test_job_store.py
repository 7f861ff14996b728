"""The store of a job's study keeps the laws of the port, and nothing is added to it that is not on its way."""

from contextlib import closing

import pytest
from builders import a_key, a_record
from contracts.store_contract import StoreContract
from kerntune.cache.memory import MemoryStore
from kerntune.cache.records import Incident
from kerntune.cache.spool import Spool
from kerntune.cache.wire_records import incident_from_json, record_digest, record_from_json
from kerntune.spaces.canonical import digest
from kerntune.spaces.errors import StoreError
from kerntune.tuner.worker.job_store import JobStore


@pytest.fixture
def spool(tmp_path):
    with closing(Spool(tmp_path / "spool")) as spool:
        yield spool


class TestJobStore(StoreContract):
    @pytest.fixture
    def store(self, spool):
        return JobStore(MemoryStore(), spool)


def test_what_is_added_lies_in_the_spool_as_it_is_sent(spool):
    """Records whole, incidents with the key they may explain, in order; the sender is woken."""
    woken = []
    store = JobStore(MemoryStore(), spool, appended=lambda: woken.append(spool.waiting))
    store.add(a_record(us=1.0))
    store.add_incident(a_key(), Incident("disk", "full\x1b[0m"))
    first, second = (entry.data for entry in spool.pending())
    assert record_from_json(first["record"]) == a_record(us=1.0)
    assert digest(first["record"]) == record_digest(a_record(us=1.0))
    assert incident_from_json(second["incident"]) == (a_key(), Incident("disk", "full"))
    assert woken == [1, 2]


def test_a_full_spool_keeps_the_record_out_of_both(tmp_path):
    """A record that cannot be sent later is none that a study goes on from."""
    local = MemoryStore()
    with closing(Spool(tmp_path / "small", most_bytes=10)) as small, pytest.raises(StoreError, match="full"):
        JobStore(local, small).add(a_record())
    assert local.records(a_key()) == []


def test_what_the_server_knows_is_known_but_not_kept_here(spool):
    """Its winner too, where it is faster."""
    local = MemoryStore()
    local.add(a_record(us=5.0))
    store = JobStore(local, spool, [a_record(us=3.0, minutes=1), a_record(us=5.0)])
    assert [record.ranked_us for record in store.records(a_key())] == [5.0, 3.0]
    assert store.best(a_key()).ranked_us == 3.0
    assert local.records(a_key()) == [a_record(us=5.0)]


def test_what_only_this_machine_knows_is_sent(spool):
    """Once: what the server has already is not."""
    local = MemoryStore()
    local.add_many([a_record(us=5.0), a_record(us=6.0, minutes=1)])
    assert JobStore(local, spool, [a_record(us=5.0)]).send_what_is_known(a_key()) == 1
    (entry,) = spool.pending()
    assert record_from_json(entry.data["record"]) == a_record(us=6.0, minutes=1)
