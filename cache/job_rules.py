"""What becomes of a job: the rules every queue keeps. Pure: a job goes in, the job as it is then comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from .jobs import MAX_PRIORITY, MAX_TRIES, Capacity, Claim, Happening, Job, NewJob, Outcome
from .refusals import LeaseLost
from .rules import clean_name, clean_text, clean_value

MAX_ERROR_CHARS = 2000
MAX_US = 1e15
"""Some thirty years: no time that a worker took."""


def priority_with(asked: int, misses: int) -> int:
    """A priority raised by one step for each doubling of the misses."""
    return min(MAX_PRIORITY, asked + misses.bit_length())


def steps_of(misses: int, more: int) -> int:
    """What `more` of a key's misses are worth, where it has so many by now."""
    return misses.bit_length() - (misses - more).bit_length()


def made(new: NewJob, job_id: int, priority: int, now: datetime) -> Job:
    """A job that waits."""
    return Job(
        id=job_id,
        key_digest=new.key_digest,
        op=new.op,
        request=clean_value(new.request),
        place=new.place,
        backends=tuple(sorted(new.backends)),
        state="queued",
        priority=priority,
        created_at=now,
        created_by=clean_name(new.created_by),
    )


def can_run(capacity: Capacity, job: Job) -> bool:
    """Whether a worker of this capacity can run a job."""
    return job.place in capacity.places and not set(capacity.backends).isdisjoint(job.backends)


def claimed(job: Job, worker: str, lease_s: float, now: datetime) -> Claim:
    """A queued job in a worker's hands, under a new token."""
    until, token = now + timedelta(seconds=lease_s), job.token + 1
    running = replace(
        job,
        state="running",
        token=token,
        worker=clean_name(worker),
        lease_until=until,
        started_at=job.started_at or now,
    )
    return Claim(running, token, until)


def prolonged(job: Job, token: int, lease_s: float, now: datetime) -> Job:
    """A job whose lease goes on, or one that was cancelled meanwhile, as it is. Raises: LeaseLost."""
    if job.state == "cancelled" and job.token == token:
        return job
    return replace(_held(job, token), state="running", lease_until=now + timedelta(seconds=lease_s))


def progressed(job: Job, token: int, happenings: Sequence[Happening]) -> Job:
    """A job about which more is known. Raises: LeaseLost."""
    trials = sum(happening.kind == "trial" for happening in happenings)
    best_us = [us for happening in happenings if happening.kind == "best" and (us := _median_us(happening.data))]
    held = _held(job, token)
    return replace(held, trials=held.trials + trials, best_us=best_us[-1] if best_us else held.best_us)


def finished(
    job: Job,
    token: int,
    outcome: Outcome,
    now: datetime,
    error: str | None = None,
    result: Mapping[str, Any] | None = None,
) -> Job:
    """A job whose worker has said its last word; the same one said again changes nothing. Raises: LeaseLost."""
    if job.token == token and job.state == outcome:
        return job
    held = _held(job, token)
    said = None if error is None else clean_text(error)[:MAX_ERROR_CHARS]
    if outcome == "retry":
        # The lease is over for good, so its token is too: a late word of this worker counts no more.
        return replace(_given_back(held, said or "the worker gave it back", now), token=token + 1)
    kept = None if result is None else clean_value(result)
    return replace(held, state=outcome, error=said, result=kept, lease_until=None, finished_at=now)


def expired(job: Job, now: datetime) -> Job:
    """A job whose worker was not heard of for longer than its lease."""
    return _given_back(job, f"the worker {job.worker} was not heard of until {job.lease_until}", now)


def cancelled(job: Job, now: datetime) -> Job:
    """A job nobody wants any more; one that has ended is as it was."""
    return replace(job, state="cancelled", lease_until=None, finished_at=now) if job.is_active else job


def end_of(job: Job) -> Happening:
    """How a job ended, for those who listen."""
    return Happening(
        "end",
        {"state": job.state, "trials": job.trials, "best_us": job.best_us, "error": job.error, "result": job.result},
    )


def cleaned(happening: Happening) -> Happening:
    """A happening as it is kept."""
    return Happening(happening.kind, clean_value(happening.data))


def _given_back(job: Job, reason: str, now: datetime) -> Job:
    tries = job.tries + 1
    if tries < MAX_TRIES:
        return replace(job, state="queued", tries=tries, lease_until=None, error=reason)
    error = f"given up after {tries} tries; of the last: {reason}"[:MAX_ERROR_CHARS]
    return replace(job, state="failed", tries=tries, lease_until=None, error=error, finished_at=now)


def _held(job: Job, token: int) -> Job:
    """The job, if this is the token of its newest lease and nobody has ended it."""
    if job.token == token and job.is_active:
        return job
    how = f"is {job.state}" if not job.is_active else f"is at token {job.token}"
    raise LeaseLost(f"job {job.id} {how}: what token {token} says of it is not taken. Drop it and claim another.")


def _median_us(data: Mapping[str, Any]) -> float | None:
    us = data.get("median_us")
    if isinstance(us, bool) or not isinstance(us, int | float):
        return None
    return float(us) if 0 < us < MAX_US else None
