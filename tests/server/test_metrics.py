"""/metrics, as Prometheus reads it."""

import os
from contextlib import closing

import pytest
from asking import PATH, SHAPE, a_gemm_record
from builders import a_record
from kerntune.cache.counts import Counts
from kerntune.cache.database import Database
from kerntune.cache.memory import MemoryStore
from kerntune.cache.service_tables import misses
from kerntune.cache.sql import SqlStore
from kerntune.cache.sql_counts import SqlCounts
from kerntune.server.app import create_app
from kerntune.server.metrics import route_class
from kerntune.spaces.errors import StoreError
from kerntune.tuner.serving import StoreServices
from prometheus_client.parser import text_string_to_metric_families


class Counted:
    def __init__(self, trouble=None):
        self.trouble = trouble

    def counts(self):
        if self.trouble:
            raise self.trouble
        return Counts(records=7, jobs={"queued": 2, "done": 3}, misses=11, missed_keys=4)

    def close(self):
        pass


@pytest.fixture
def watched():
    """Makes an application that counts."""

    def make(trouble=None):
        store = MemoryStore()
        store.add(a_gemm_record())
        return create_app(StoreServices(store, lambda: "1"), counting=Counted(trouble))

    return make


def samples(response):
    """Every sample by its name and labels, without the worker's."""
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name != "worker"}
            assert sample.labels.get("worker", str(os.getpid())) == str(os.getpid())
            found[sample.name, *sorted(labels.items())] = sample.value
    return found


def test_requests_are_counted_by_class_and_status(watched, browse_app):
    """Hot answers among them, and requests that were refused."""
    browser = browse_app(watched())
    for _ in range(3):
        assert browser.get(PATH, params=SHAPE).status_code == 200
    browser.get(PATH)
    browser.get("/v1/anything")
    found = samples(browser.get("/metrics"))
    assert found["kerntune_requests_total", ("route", "configs"), ("status", "200")] == 3
    assert found["kerntune_requests_total", ("route", "configs"), ("status", "422")] == 1
    assert found["kerntune_requests_total", ("route", "other"), ("status", "404")] == 1
    assert found["kerntune_request_seconds_count", ("route", "configs")] == 4
    assert found["kerntune_request_seconds_bucket", ("le", "+Inf"), ("route", "configs")] == 4
    assert found["kerntune_hot_answers_total", ("outcome", "hit")] == 2
    assert found["kerntune_hot_answers_total", ("outcome", "miss")] == 2


def test_what_is_kept_is_read_when_it_is_asked_for(watched, browse_app):
    """Records, jobs by state, misses."""
    found = samples(browse_app(watched()).get("/metrics"))
    assert found[("kerntune_store_up",)] == 1
    assert found[("kerntune_records",)] == 7
    assert found["kerntune_jobs", ("state", "queued")] == 2
    assert (found[("kerntune_misses",)], found[("kerntune_missed_keys",)]) == (11, 4)


def test_a_store_that_is_away_is_down_and_the_rest_is_said(watched, browse_app):
    """A scrape never fails for it."""
    found = samples(browse_app(watched(StoreError("gone"))).get("/metrics"))
    assert found[("kerntune_store_up",)] == 0
    assert not [name for name in found if name[0] == "kerntune_records"]


def test_an_error_of_ours_is_counted_as_500(browse_app):
    """By the layer that sees the last word."""

    class Broken(MemoryStore):
        def targets(self):
            raise RuntimeError("a bug")

    browser = browse_app(create_app(StoreServices(Broken())))
    assert browser.get(PATH, params=SHAPE).status_code == 500
    found = samples(browser.get("/metrics"))
    assert found["kerntune_requests_total", ("route", "configs"), ("status", "500")] == 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/v1/configs/gemm", "configs"), ("/v1/jobs/7", "jobs"), ("/v1/jobs/7/events", "events"), ("/readyz", "health")]
    + [(path, "other") for path in ("/", "/v1/", "/v1/x", "/v1/configsx", "/v2/configs")],
)
def test_a_path_has_one_of_few_classes(path, expected):
    """Nobody makes a series by asking for nonsense."""
    assert route_class(path) == expected


def count_in(url):
    """What a database holds after a record and five misses of one key."""
    with closing(SqlStore.open(url)) as store:
        store.add(a_record())
    with closing(Database.open(url)) as database, database.transaction() as connection:
        miss = {"key_digest": "k", "op": "gemm", "request": "{}", "count": 5, "gflop": 1.0}
        connection.execute(misses.insert(), miss | {"first_at": "a", "last_at": "b"})
    with closing(SqlCounts.open(url)) as counting:
        return counting.counts()


def test_a_database_is_counted(tmp_path):
    """Records, jobs by state and misses."""
    assert count_in(f"sqlite:///{tmp_path}/k.db") == Counts(records=1, jobs={}, misses=5, missed_keys=1)


@pytest.mark.postgres
def test_a_postgresql_is_counted_alike(postgres_url):
    """Whose sums are of another type."""
    assert count_in(postgres_url) == Counts(records=1, jobs={}, misses=5, missed_keys=1)
