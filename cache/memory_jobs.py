"""MemoryJobs: the queue in dicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from threading import RLock
from typing import Any

from . import job_rules
from .jobs import (
    MAX_PRIORITY,
    Capacity,
    Claim,
    Demand,
    Happening,
    Job,
    JobEvent,
    JobState,
    Miss,
    NewJob,
    Outcome,
    Submitted,
)
from .refusals import UnknownJob
from .rules import clean_value


class MemoryJobs:
    """Jobs for as long as the process lives. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._jobs: dict[int, Job] = {}
        self._events: list[JobEvent] = []
        self._demands: dict[str, Demand] = {}

    def submit(self, new: NewJob, now: datetime) -> Submitted:
        with self._lock:
            demand = self._demands.get(new.key_digest)
            priority = job_rules.priority_with(new.priority, demand.count if demand else 0)
            active = next((job for job in self._active() if job.key_digest == new.key_digest), None)
            if active is None:
                return Submitted(self._put(job_rules.made(new, len(self._jobs) + 1, priority, now)), is_new=True)
            if active.state == "queued" and active.priority < priority:
                active = self._put(replace(active, priority=priority))
            return Submitted(active, is_new=False)

    def claim(self, capacity: Capacity, lease_s: float, now: datetime) -> Claim | None:
        with self._lock:
            self.expire(now)
            fitting = [j for j in self._active() if j.state == "queued" and job_rules.can_run(capacity, j)]
            if not fitting:
                return None
            first = min(fitting, key=lambda job: (-job.priority, job.id))
            claim = job_rules.claimed(first, capacity.worker, lease_s, now)
            self._put(claim.job)
            return claim

    def heartbeat(self, job_id: int, token: int, lease_s: float, now: datetime) -> bool:
        job = self._change(job_id, lambda job: job_rules.prolonged(job, token, lease_s, now), now)
        return job.state == "cancelled"

    def add_events(self, job_id: int, token: int, happenings: Sequence[Happening], now: datetime) -> Job:
        with self._lock:
            job = self._change(job_id, lambda job: job_rules.progressed(job, token, happenings), now)
            self._tell(job_id, happenings, now)
            return job

    def finish(
        self,
        job_id: int,
        token: int,
        outcome: Outcome,
        now: datetime,
        error: str | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> Job:
        with self._lock:
            job = self._change(job_id, lambda job: job_rules.finished(job, token, outcome, now, error, result), now)
            if job.state == "done":
                self._demands.pop(job.key_digest, None)
            return job

    def cancel(self, job_id: int, now: datetime) -> Job:
        return self._change(job_id, lambda job: job_rules.cancelled(job, now), now)

    def expire(self, now: datetime) -> int:
        with self._lock:
            late = [job for job in self._active() if job.lease_until is not None and job.lease_until < now]
            for job in late:
                self._change(job.id, lambda job: job_rules.expired(job, now), now)
            return len(late)

    def get(self, job_id: int) -> Job:
        with self._lock:
            if job_id not in self._jobs:
                raise UnknownJob(f"there is no job {job_id}.")
            return self._jobs[job_id]

    def page(self, state: JobState | None = None, before: int | None = None, limit: int = 100) -> list[Job]:
        with self._lock:
            newest_first = reversed(self._jobs.values())
            return [j for j in newest_first if state in (None, j.state) and (before is None or j.id < before)][:limit]

    def events(self, job_id: int, after: int = 0, limit: int = 500) -> list[JobEvent]:
        with self._lock:
            return [event for event in self._events if event.job_id == job_id and event.id > after][:limit]

    def note_misses(self, wanted: Sequence[Miss], now: datetime) -> None:
        with self._lock:
            for miss in wanted:
                old = self._demands.get(miss.key_digest)
                new = _first(miss, now) if old is None else _again(old, miss, now)
                self._demands[miss.key_digest] = new
                steps = job_rules.steps_of(new.count, miss.count)
                for job in self._active():
                    if job.key_digest == miss.key_digest and job.state == "queued":
                        self._put(replace(job, priority=min(MAX_PRIORITY, job.priority + steps)))

    def top_misses(self, limit: int = 20) -> list[Demand]:
        with self._lock:
            return sorted(self._demands.values(), key=lambda d: (-d.gflop, -d.count, d.key_digest))[:limit]

    def _active(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.is_active]

    def _put(self, job: Job) -> Job:
        self._jobs[job.id] = job
        return job

    def _change(self, job_id: int, rule: Callable[[Job], Job], now: datetime) -> Job:
        """What the rule makes of a job is kept; one that ended by it says so to those who listen."""
        with self._lock:
            before = self.get(job_id)
            after = self._put(rule(before))
            if before.is_active and not after.is_active:
                self._tell(job_id, [job_rules.end_of(after)], now)
            return after

    def _tell(self, job_id: int, happenings: Sequence[Happening], now: datetime) -> None:
        for happening in map(job_rules.cleaned, happenings):
            self._events.append(JobEvent(len(self._events) + 1, job_id, happening.kind, happening.data, now))


def _first(miss: Miss, now: datetime) -> Demand:
    request, gflop = clean_value(miss.request), miss.gflop * miss.count
    return Demand(miss.key_digest, miss.op, request, miss.count, gflop, now, now)


def _again(demand: Demand, miss: Miss, now: datetime) -> Demand:
    count, gflop = demand.count + miss.count, demand.gflop + miss.gflop * miss.count
    return replace(demand, count=count, gflop=gflop, last_at=now)
