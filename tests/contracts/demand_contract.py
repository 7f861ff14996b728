"""What every queue does of the keys that are missed; a part of JobsContract."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from job_builders import GPU, LEASE_S, NOW, a_miss, a_new_job, claim_all
from kerntune.cache.jobs import MAX_PRIORITY, Jobs


class DemandContract:
    """The laws of misses, over an empty `queue` for each test."""

    def test_misses_are_counted_by_key_and_the_dearest_stands_first(self, queue: Jobs) -> None:
        """Work asked for in vain, not only how often."""
        queue.note_misses([a_miss(1, gflop=1.0), a_miss(2, gflop=10.0), a_miss(1, gflop=1.0)], NOW)
        queue.note_misses([a_miss(1, gflop=1.0)], NOW + timedelta(minutes=1))
        large, small = queue.top_misses()
        assert (large.key_digest, large.count, large.gflop) == (a_miss(2).key_digest, 1, 10.0)
        assert (small.count, small.gflop, small.op, small.request) == (3, 3.0, "gemm", {"key": 1})
        assert (small.first_at, small.last_at) == (NOW, NOW + timedelta(minutes=1))
        assert queue.top_misses(limit=1) == [large]

    def test_each_doubling_of_its_misses_raises_a_queued_job_by_a_step(self, queue: Jobs) -> None:
        """A thousand clients raise it by ten."""
        job = queue.submit(a_new_job(), NOW).job
        for _ in range(8):
            queue.note_misses([a_miss()], NOW)
        assert queue.get(job.id).priority == 4  # at 1, 2, 4 and 8 misses
        queue.claim(GPU, LEASE_S, NOW)
        queue.note_misses([a_miss()] * 8, NOW)
        assert queue.get(job.id).priority == 4

    def test_misses_that_come_together_count_as_if_they_came_one_by_one(self, queue: Jobs) -> None:
        """In count, in work, and in the steps that the job is raised by."""
        job = queue.submit(a_new_job(), NOW).job
        for count, priority in ((3, 2), (1, 3), (1, 3), (1000, 10)):
            queue.note_misses([a_miss(gflop=2.0, count=count)], NOW)
            assert queue.get(job.id).priority == priority
        (demand,) = queue.top_misses()
        assert (demand.count, demand.gflop) == (1005, 2010.0)

    def test_a_job_that_is_asked_for_after_the_misses_knows_of_them(self, queue: Jobs) -> None:
        """The order of the two does not matter."""
        queue.note_misses([a_miss(2)] * 8, NOW)
        plain, missed = (queue.submit(a_new_job(key=key), NOW).job for key in (1, 2))
        assert (plain.priority, missed.priority) == (0, 4)
        assert claim_all(queue) == [missed.id, plain.id]

    def test_demand_raises_no_job_above_the_highest_priority(self, queue: Jobs) -> None:
        """An administrator's word is not outvoted."""
        job = queue.submit(a_new_job(priority=MAX_PRIORITY), NOW).job
        queue.note_misses([a_miss(), a_miss(count=3)], NOW)
        assert queue.get(job.id).priority == MAX_PRIORITY

    def test_what_is_done_is_no_longer_missed(self, queue: Jobs) -> None:
        """What failed still is."""
        queue.note_misses([a_miss(1), a_miss(2)], NOW)
        for key, outcome in ((1, "failed"), (2, "done")):
            queue.submit(a_new_job(key=key), NOW)
            claim = queue.claim(GPU, LEASE_S, NOW)
            assert claim is not None
            queue.finish(claim.job.id, claim.token, outcome, NOW)
        assert [demand.key_digest for demand in queue.top_misses()] == [a_miss(1).key_digest]

    def test_threads_that_miss_at_once_are_all_counted(self, queue: Jobs) -> None:
        """In whatever order each names its keys, while jobs of these keys begin and end."""
        keys = list(range(4))

        def miss(number: int) -> None:
            order = keys if number % 2 else keys[::-1]
            queue.submit(a_new_job(key=number % 4), NOW)
            queue.note_misses([a_miss(key) for key in order], NOW)
            claim = queue.claim(GPU, LEASE_S, NOW)
            if claim is not None:
                queue.finish(claim.job.id, claim.token, "failed", NOW)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(miss, range(32)))
        assert [demand.count for demand in queue.top_misses()] == [32] * 4
