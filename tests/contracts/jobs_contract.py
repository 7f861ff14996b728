"""What every queue does. A test class of an implementation inherits JobsContract and gives the fixture `queue`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from contracts.demand_contract import DemandContract
from job_builders import GPU, LEASE_S, NOW, a_new_job, claim_all, kinds
from kerntune.cache.jobs import MAX_TRIES, Capacity, Claim, Happening, Job, Jobs
from kerntune.cache.refusals import LeaseLost, UnknownJob

LATER = NOW + timedelta(seconds=LEASE_S + 1)


class JobsContract(DemandContract):
    """The laws of the port. The subclass gives an empty `queue` for each test."""

    def test_a_job_comes_back_as_it_was_asked_for(self, queue: Jobs) -> None:
        """Every word of it, with control characters gone."""
        new = a_new_job(request={"op": "gemm", "fields": {"m": 2**31, "dtype": "bf\x1b[31m16"}}, created_by="eve\nroot")
        job = queue.submit(new, NOW).job
        assert queue.get(job.id) == job
        assert job.request == {"op": "gemm", "fields": {"m": 2**31, "dtype": "bf16"}}
        assert (job.state, job.created_by, job.created_at, job.token) == ("queued", "eve root", NOW, 0)
        assert (job.key_digest, job.op, job.place, job.backends) == (
            new.key_digest,
            "gemm",
            "GPU X",
            ("cuda", "triton"),
        )

    def test_a_key_has_one_active_job(self, queue: Jobs) -> None:
        """Who asks for what is being done already is shown that job; another key is another job."""
        first, second = queue.submit(a_new_job(), NOW), queue.submit(a_new_job(), NOW)
        assert (first.is_new, second.is_new) == (True, False)
        assert first.job == second.job
        assert queue.submit(a_new_job(key=2), NOW).job.id != first.job.id
        running = claimed(queue)
        assert running.job.id == first.job.id
        assert queue.submit(a_new_job(), NOW).job == running.job

    def test_a_key_whose_job_has_ended_gets_another_one(self, queue: Jobs) -> None:
        """It may be worth it again."""
        first = queue.submit(a_new_job(), NOW).job
        queue.cancel(first.id, NOW)
        second = queue.submit(a_new_job(), NOW)
        assert second.is_new
        assert second.job.id > first.id

    def test_of_32_threads_that_submit_one_key_one_makes_the_job(self, queue: Jobs) -> None:
        """All are shown the same."""
        start = Barrier(32)

        def submit(_: int) -> tuple[int, bool]:
            start.wait()
            submitted = queue.submit(a_new_job(), NOW)
            return submitted.job.id, submitted.is_new

        with ThreadPoolExecutor(32) as pool:
            said = list(pool.map(submit, range(32)))
        assert len({job_id for job_id, _ in said}) == 1
        assert sum(is_new for _, is_new in said) == 1
        assert len(queue.page()) == 1

    def test_16_threads_claim_50_jobs_each_once(self, queue: Jobs) -> None:
        """No job is given to two workers."""
        ids = {queue.submit(a_new_job(key=key), NOW).job.id for key in range(50)}
        start = Barrier(16)

        def claim(number: int) -> list[int]:
            start.wait()
            return claim_all(queue, f"w{number}")

        with ThreadPoolExecutor(16) as pool:
            taken = [job_id for ids in pool.map(claim, range(16)) for job_id in ids]
        assert sorted(taken) == sorted(ids)

    def test_the_highest_priority_is_claimed_first_then_the_oldest(self, queue: Jobs) -> None:
        """So is the queue's order."""
        ids = [queue.submit(a_new_job(key=key, priority=p), NOW).job.id for key, p in enumerate((0, 5, -1, 5))]
        assert claim_all(queue) == [ids[1], ids[3], ids[0], ids[2]]

    def test_a_second_wish_for_a_queued_job_can_only_raise_its_priority(self, queue: Jobs) -> None:
        """The more urgent caller decides."""
        priorities = [queue.submit(a_new_job(priority=p), NOW).job.priority for p in (0, 7, 3)]
        assert priorities == [0, 7, 7]

    def test_a_worker_claims_only_what_it_can_run(self, queue: Jobs) -> None:
        """The place must be its own, and one of the backends."""
        queue.submit(a_new_job(backends=("cuda", "triton")), NOW)
        for places, backends in [
            (("GPU Y",), ("triton",)),
            ((), ("triton",)),
            (("GPU X",), ("cpu", "cud", "uda", "%")),
            (("GPU X",), ()),
        ]:
            assert queue.claim(Capacity("w", places, backends), LEASE_S, NOW) is None
        claim = queue.claim(Capacity("w", ("f" * 32, "GPU X"), ("triton",)), LEASE_S, NOW)
        assert claim is not None

    def test_a_claim_says_whose_it_is_and_until_when(self, queue: Jobs) -> None:
        """And the first one when the job began."""
        queue.submit(a_new_job(), NOW)
        claim = claimed(queue, "host-1\x00")
        assert claim == Claim(queue.get(claim.job.id), 1, NOW + timedelta(seconds=LEASE_S))
        assert (claim.job.state, claim.job.worker, claim.job.started_at) == ("running", "host-1", NOW)
        assert queue.claim(GPU, LEASE_S, NOW) is None

    def test_a_heartbeat_prolongs_the_lease(self, queue: Jobs) -> None:
        """A slow study is no dead worker."""
        claim = running(queue)
        assert queue.heartbeat(claim.job.id, claim.token, 10 * LEASE_S, NOW) is False
        assert queue.expire(LATER) == 0
        assert queue.get(claim.job.id).state == "running"

    def test_what_happened_is_told_in_order(self, queue: Jobs) -> None:
        """With numbers that grow, from any of them on; the job counts along."""
        claim = running(queue)
        told = [Happening("trial", {"n": 1}), Happening("best", {"median_us": 9.5}), Happening("trial", {"n": 2})]
        queue.add_events(claim.job.id, claim.token, told[:2], NOW)
        job = queue.add_events(claim.job.id, claim.token, told[2:], LATER)
        assert (job.trials, job.best_us) == (2, 9.5)
        events = queue.events(claim.job.id)
        assert [(event.kind, event.data, event.at) for event in events] == [
            ("trial", {"n": 1}, NOW),
            ("best", {"median_us": 9.5}, NOW),
            ("trial", {"n": 2}, LATER),
        ]
        assert queue.events(claim.job.id, after=events[1].id) == events[2:]
        assert queue.events(claim.job.id, limit=2) == events[:2]
        assert queue.events(claim.job.id + 1) == []

    def test_a_best_without_a_time_changes_no_best(self, queue: Jobs) -> None:
        """What a worker says is data, not trusted."""
        claim = running(queue)
        for odd in (None, "fast", True, -1, 0, float("nan"), float("inf"), 10**400):
            queue.add_events(claim.job.id, claim.token, [Happening("best", {"median_us": odd})], NOW)
        assert queue.get(claim.job.id).best_us is None

    @pytest.mark.parametrize("outcome", ["done", "failed"])
    def test_a_finished_job_keeps_its_result_and_says_so(self, queue: Jobs, outcome: str) -> None:
        """The end is the last event."""
        claim = running(queue)
        job = queue.finish(claim.job.id, claim.token, outcome, LATER, error="no\x07 config", result={"us": 1.5})
        assert job == queue.get(job.id)
        assert (job.state, job.error, job.result) == (outcome, "no config", {"us": 1.5})
        assert (job.finished_at, job.lease_until) == (LATER, None)
        (end,) = queue.events(job.id)
        assert (end.kind, end.data["state"], end.data["result"]) == ("end", outcome, {"us": 1.5})

    def test_a_last_word_said_twice_counts_once(self, queue: Jobs) -> None:
        """A worker may not have heard the answer; another last word is refused."""
        claim = running(queue)
        first = queue.finish(claim.job.id, claim.token, "done", NOW, result={"n": 1})
        assert queue.finish(claim.job.id, claim.token, "done", LATER, result={"n": 2}) == first
        for outcome in ("failed", "retry"):
            with pytest.raises(LeaseLost):
                queue.finish(claim.job.id, claim.token, outcome, NOW)
        assert kinds(queue, claim.job.id) == ["end"]

    def test_after_a_silent_worker_another_one_gets_the_job_under_a_larger_token(self, queue: Jobs) -> None:
        """And nothing the first one says is taken any more."""
        old = running(queue)
        new = queue.claim(GPU, LEASE_S, LATER)
        assert new is not None
        assert (new.job.id, new.token, new.job.tries) == (old.job.id, old.token + 1, 1)
        with pytest.raises(LeaseLost, match="is at token 2"):
            queue.finish(old.job.id, old.token, "done", LATER)
        with pytest.raises(LeaseLost):
            queue.heartbeat(old.job.id, old.token, LEASE_S, LATER)
        with pytest.raises(LeaseLost):
            queue.add_events(old.job.id, old.token, [Happening("trial", {})], LATER)
        assert queue.events(old.job.id) == []
        assert queue.finish(new.job.id, new.token, "done", LATER).state == "done"

    def test_a_late_worker_keeps_a_job_nobody_else_took(self, queue: Jobs) -> None:
        """The server was away, not the worker."""
        claim = running(queue)
        assert queue.expire(LATER) == 1
        assert queue.get(claim.job.id).state == "queued"
        assert queue.heartbeat(claim.job.id, claim.token, LEASE_S, LATER) is False
        assert queue.get(claim.job.id).state == "running"
        assert queue.finish(claim.job.id, claim.token, "done", LATER).state == "done"

    def test_a_job_that_loses_three_workers_fails(self, queue: Jobs) -> None:
        """It may be what kills them; the error says so, and listeners are told."""
        job = queue.submit(a_new_job(), NOW).job
        now = NOW
        for _ in range(MAX_TRIES):
            assert queue.claim(GPU, LEASE_S, now) is not None
            now += timedelta(seconds=LEASE_S + 1)
        assert queue.claim(GPU, LEASE_S, now) is None
        lost = queue.get(job.id)
        assert (lost.state, lost.tries, lost.finished_at) == ("failed", MAX_TRIES, now)
        assert "given up after 3 tries" in (lost.error or "")
        assert kinds(queue, job.id) == ["end"]

    def test_a_job_given_back_is_for_the_next_worker_and_fails_at_the_third_time(self, queue: Jobs) -> None:
        """The word that gave it back is the lease's last."""
        job = queue.submit(a_new_job(), NOW).job
        for tries in range(1, MAX_TRIES + 1):
            claim = claimed(queue)
            back = queue.finish(job.id, claim.token, "retry", NOW, error="device lost")
            assert (back.state, back.tries) == ("queued" if tries < MAX_TRIES else "failed", tries)
            assert "device lost" in (back.error or "")
            with pytest.raises(LeaseLost):
                queue.heartbeat(job.id, claim.token, LEASE_S, NOW)

    def test_a_cancelled_job_is_over_at_once_and_its_worker_is_told(self, queue: Jobs) -> None:
        """By its heartbeat; a result that comes all the same is refused."""
        claim = running(queue)
        job = queue.cancel(claim.job.id, NOW)
        assert (job.state, job.finished_at) == ("cancelled", NOW)
        assert queue.cancel(job.id, LATER) == job
        assert queue.heartbeat(job.id, claim.token, LEASE_S, NOW) is True
        with pytest.raises(LeaseLost, match="is cancelled"):
            queue.finish(job.id, claim.token, "done", NOW)
        assert kinds(queue, job.id) == ["end"]
        assert queue.claim(GPU, LEASE_S, LATER) is None

    def test_a_job_that_has_ended_cannot_be_cancelled(self, queue: Jobs) -> None:
        """It stays what it became."""
        claim = running(queue)
        done = queue.finish(claim.job.id, claim.token, "done", NOW)
        assert queue.cancel(done.id, LATER) == done

    def test_pages_are_of_a_state_the_newest_first(self, queue: Jobs) -> None:
        """Each page begins where the last one ended."""
        ids = [queue.submit(a_new_job(key=key), NOW).job.id for key in range(5)]
        assert _ids(queue.page(limit=2)) == ids[:2:-1]
        assert _ids(queue.page(before=ids[3], limit=2)) == [ids[2], ids[1]]
        claimed(queue)
        assert _ids(queue.page("running")) == [ids[0]]
        assert _ids(queue.page("queued")) == ids[:0:-1]
        assert queue.page("done") == []

    def test_a_job_there_is_not_is_an_error(self, queue: Jobs) -> None:
        """Never somebody else's job."""
        for ask in (
            lambda: queue.get(7),
            lambda: queue.cancel(7, NOW),
            lambda: queue.heartbeat(7, 1, LEASE_S, NOW),
            lambda: queue.finish(7, 1, "done", NOW),
            lambda: queue.add_events(7, 1, [], NOW),
        ):
            with pytest.raises(UnknownJob, match="no job 7"):
                ask()


def claimed(queue: Jobs, worker: str = "w") -> Claim:
    claim = queue.claim(Capacity(worker, GPU.places, GPU.backends), LEASE_S, NOW)
    assert claim is not None
    return claim


def running(queue: Jobs) -> Claim:
    queue.submit(a_new_job(), NOW)
    return claimed(queue)


def _ids(page: list[Job]) -> list[int]:
    return [job.id for job in page]
