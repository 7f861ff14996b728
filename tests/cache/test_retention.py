"""Retention in memory, SQLite and PostgreSQL alike; and the rule itself: a best never changes."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest
from builders import A_STAMP, a_key, a_record
from contracts.retention_contract import LATER, LEAST, RetentionContract, some
from hypothesis import given, settings
from hypothesis import strategies as st
from job_builders import GPU, LEASE_S, NOW, a_new_job
from kerntune.cache.database import Database
from kerntune.cache.jobs import Happening
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_retention import MemoryRetention
from kerntune.cache.records import Failure
from kerntune.cache.retention import Keep, superfluous
from kerntune.cache.rules import standing, winner
from kerntune.cache.service_tables import generation_answers, generations
from kerntune.cache.sql import SqlStore
from kerntune.cache.sql_jobs import SqlJobs
from kerntune.cache.sql_retention import SqlRetention


class TestMemory(RetentionContract):
    @pytest.fixture
    def store(self):
        return MemoryStore()

    @pytest.fixture
    def frozen(self):
        return set()

    @pytest.fixture
    def retention(self, store, frozen):
        return MemoryRetention(store, lambda: frozen)

    @pytest.fixture
    def freeze(self, frozen):
        return frozen.add


class OverSql(RetentionContract):
    @pytest.fixture
    def store(self, database):
        return SqlStore(database)

    @pytest.fixture
    def retention(self, database):
        return SqlRetention(database)

    @pytest.fixture
    def freeze(self, database):
        def name(key_digest):
            words = {
                "digest": "0" * 32,
                "created_at": "2026-11-22T12:00:00.000000+00:00",
                "created_by": "t",
                "note": "",
            }
            answer = {"problem_digest": "0" * 32, "op": "gemm", "json": "{}"}
            with database.transaction() as connection:
                connection.execute(generations.insert(), {"number": 1, "answers": 1, **words})
                connection.execute(generation_answers.insert(), {"generation": 1, "key_digest": key_digest, **answer})

        return name

    def test_events_of_jobs_that_ended_go(self, database, retention):
        """The jobs stay, and events of those that run."""
        queue = SqlJobs(database)
        for key in (1, 2):
            queue.submit(a_new_job(key), NOW)
            claim = queue.claim(GPU, LEASE_S, NOW)
            queue.add_events(claim.job.id, claim.token, [Happening("trial", {"us": 1.0})] * 3, NOW)
            if key == 1:
                queue.finish(claim.job.id, claim.token, "done", NOW)
        assert retention.sweep_events(A_STAMP).removed.rows == 0
        planned = retention.sweep_events(LATER, dry_run=True).removed
        assert retention.sweep_events(LATER).removed == planned
        assert planned.rows >= 3
        assert planned.size_bytes > 100
        assert (queue.events(1), len(queue.events(2)), queue.get(1).state) == ([], 3, "done")


class TestSqlite(OverSql):
    @pytest.fixture
    def database(self, url):
        with closing(Database.open(url)) as database:
            yield database

    def test_vacuum_gives_the_room_back(self, store, retention, path):
        """As many bytes as it says, while the database is open."""
        store.add_many(some(2000))
        for keep in (LEAST,):
            retention.sweep_records(keep)
        freed = retention.vacuum()
        assert freed > 100_000
        assert store.best(a_key()) is not None


@pytest.mark.postgres
class TestPostgresql(OverSql):
    @pytest.fixture
    def database(self, postgres_url):
        with closing(Database.open(postgres_url)) as database:
            yield database

    def test_vacuum_is_the_databases_own_matter(self, retention):
        """PostgreSQL does it by itself."""
        assert retention.vacuum() == 0


ONE = st.builds(
    lambda config, us, failed, phase, template, minutes: a_record(
        config={"X": config},
        us=float(us),
        failure=Failure("runtime", "no") if failed and phase == "search" else None,
        phase=phase,
        template_digest=template * 32,
        minutes=minutes,
    ),
    *(st.integers(0, 3), st.integers(1, 9), st.booleans(), st.sampled_from(["search", "playoff"])),
    *(st.sampled_from("ab"), st.integers(0, 20)),
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(ONE, max_size=14, unique_by=lambda r: r.recorded_at), st.integers(0, 21), st.integers(1, 3), st.booleans()
)
def test_the_best_of_a_key_and_of_each_template_never_changes(history, minutes, best, failures):
    """Whatever is forgotten: the first few that stand are the same before and after, and a second sweep finds less."""
    keep = Keep(A_STAMP + timedelta(minutes=minutes), best, failures)
    gone = superfluous(history, keep)
    left = [record for record in history if not any(record is one for one in gone)]
    assert winner(left) == winner(history)
    for template in ("a" * 32, "b" * 32):
        of = [[r for r in records if r.template_digest == template] for records in (history, left)]
        before, after = (list(dict.fromkeys(r.config for r in standing(records)))[:best] for records in of)
        assert after == before
    assert all(record.recorded_at < keep.older_than for record in gone)
    assert superfluous(left, keep) == []
