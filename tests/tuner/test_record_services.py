"""Records and targets as the routes ask for them."""

import json

import pytest
from asking import a_gemm_record
from builders import a_target
from kerntune.cache.memory import MemoryStore
from kerntune.cache.refusals import UnknownTarget
from kerntune.cache.wire_records import record_to_json
from kerntune.spaces.errors import UsageError
from kerntune.tuner import record_services
from kerntune.tuner.record_services import MOST_REASON_CHARS, StoreRecordServices
from uploads import a_full_record


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def services(store):
    return StoreRecordServices(store)


def test_an_upload_counts_what_is_new_known_and_refused(services):
    """Each for itself; reasons are short."""
    record = record_to_json(a_full_record())
    done = services.add_records([record, record, 7, record | {"template": "x" * 300_000}])
    assert (done.added, done.known) == (1, 1)
    assert [one.index for one in done.refused] == [2, 3]
    assert all(len(one.reason) <= MOST_REASON_CHARS for one in done.refused)


def test_an_upload_of_which_nothing_is_kept_does_not_ask_the_store():
    """A flood of nonsense takes no lock."""

    class Untouchable(MemoryStore):
        def add_many(self, records, /):
            raise AssertionError

    assert StoreRecordServices(Untouchable()).add_records([{}]).added == 0


def test_a_page_has_no_more_than_its_limit_though_it_is_read_in_steps(services, store, monkeypatch):
    """And its cursor goes on just after its last record."""
    monkeypatch.setattr(record_services, "READ_AT_ONCE", 3)
    records = [a_gemm_record(us=1.0 + number) for number in range(10)]
    store.add_many(records)
    first = json.loads(services.record_page(None, None, None, None, 7).as_json())
    rest = json.loads(services.record_page(None, None, None, first["next"], 7).as_json())
    assert len(first["records"]) == 7
    assert first["records"] + rest["records"] == [record_to_json(record) for record in records]
    assert rest["next"] is None


@pytest.mark.parametrize("words", [("a\x00", None, None), (None, "x", None), (None, None, "F" * 32)])
def test_words_that_no_record_can_be_of_are_refused_before_the_store_is_asked(services, words):
    """Databases differ in what they say to a NUL."""
    with pytest.raises(UsageError):
        services.record_page(*words, None, 7)


@pytest.mark.parametrize("digest", ["f" * 32, "\x00", "\ud800", ""])
def test_a_target_that_is_not_known_says_what_to_do(services, digest):
    """However odd its name, which is shown without control characters."""
    with pytest.raises(UnknownTarget, match=r"POST /v1/targets") as caught:
        services.target(digest)
    assert str(caught.value).isprintable()


def test_a_registered_target_is_found_by_its_digest(services):
    """Before any record is of it."""
    assert services.add_target(a_target().as_dict()) == a_target()
    assert services.target(a_target().digest) == a_target()
    assert services.known_targets() == []


def test_an_incident_is_checked_like_a_record(services):
    """Its key must be of an op there is."""
    said = record_to_json(a_full_record()) | {"kind": "disk", "reason": "full"}
    services.add_incident(said)
    with pytest.raises(UsageError, match="gemm"):
        services.add_incident(said | {"problem": {"op": "gem"}})
