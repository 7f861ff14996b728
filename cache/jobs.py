"""Jobs: the port to the queue of studies that were asked for, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
Outcome = Literal["done", "failed", "retry"]
EventKind = Literal["trial", "best", "end"]

ACTIVE_STATES: tuple[JobState, ...] = ("queued", "running")
MAX_TRIES = 3
"""So often a job is begun; a worker that kills itself on it must not take them all along."""
MAX_PRIORITY = 100


@dataclass(frozen=True, slots=True)
class NewJob:
    """A study that is wanted."""

    key_digest: str  # of problem, place and policy: one active job for each
    op: str
    request: Mapping[str, Any]  # the words a worker runs it by; never any source
    place: str  # digest of a target, or name of a device
    backends: tuple[str, ...]  # a worker needs one of them
    priority: int = 0
    created_by: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A study that was asked for, and how far it is."""

    id: int
    key_digest: str
    op: str
    request: Mapping[str, Any]
    place: str
    backends: tuple[str, ...]
    state: JobState
    priority: int
    created_at: datetime
    created_by: str
    tries: int = 0  # leases that ran out or were given back
    token: int = 0  # of the newest lease; 0: never claimed
    worker: str | None = None  # that had the newest lease
    lease_until: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    trials: int = 0
    best_us: float | None = None
    error: str | None = None
    result: Mapping[str, Any] | None = None

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE_STATES


@dataclass(frozen=True, slots=True)
class Submitted:
    """The one active job of a key, and whether this call made it."""

    job: Job
    is_new: bool


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a worker can run: jobs of these places whose templates it can compile."""

    worker: str
    places: tuple[str, ...]
    backends: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is a worker's until `lease_until`. What it says of it carries the token."""

    job: Job
    token: int
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Happening:
    """What a worker tells of its job: a trial, or a new best with its `median_us`."""

    kind: EventKind
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobEvent:
    """What happened in a job. Ids grow; the last one is the end."""

    id: int
    job_id: int
    kind: EventKind
    data: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Miss:
    """A key that was asked for while nothing was known of it."""

    key_digest: str
    op: str
    request: Mapping[str, Any]
    gflop: float = 0.0  # of one call: what a miss costs grows with it
    count: int = 1  # so often


@dataclass(frozen=True, slots=True)
class Demand:
    """How much a key is missed."""

    key_digest: str
    op: str
    request: Mapping[str, Any]  # of the first miss
    count: int
    gflop: float  # of all the misses together
    first_at: datetime
    last_at: datetime


class Jobs(Protocol):
    """The queue. Safe to call from several threads and processes; what a method returned from is durable.

    Time is handed in (`now`). Every method raises StoreError where the database cannot be reached, and then changed
    nothing; UnknownJob for an id there is not; and those with a token raise LeaseLost for one that is not the newest
    lease's, or of a job that has ended. The newest lease holds until another worker takes the job, even past its time.
    """

    def submit(self, new: NewJob, now: datetime) -> Submitted:
        """The active job of the key, made where there is none; a queued one takes the higher priority of the two.

        Each doubling of the key's misses counts as one step of priority.
        """

    def claim(self, capacity: Capacity, lease_s: float, now: datetime) -> Claim | None:
        """The queued job with the highest priority that the worker can run, the oldest of equals; None if none is.

        Leases that ran out are ended first.
        """

    def heartbeat(self, job_id: int, token: int, lease_s: float, now: datetime) -> bool:
        """Prolong a lease. True: the job was cancelled, stop."""

    def add_events(self, job_id: int, token: int, happenings: Sequence[Happening], now: datetime) -> Job:
        """Keep what happened; trials and the best time of the job follow from it."""

    def finish(
        self,
        job_id: int,
        token: int,
        outcome: Outcome,
        now: datetime,
        error: str | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> Job:
        """End a lease. `retry` gives the job back: queued again, or failed where that was its last try.

        The same word said again by the same lease changes nothing; a job that is done is no longer missed.
        """

    def cancel(self, job_id: int, now: datetime) -> Job:
        """End an active job; its worker is told at its next heartbeat. A job that has ended stays as it is."""

    def expire(self, now: datetime) -> int:
        """Give jobs whose leases ran out back to the queue, or fail them where it was the last try; how many."""

    def get(self, job_id: int) -> Job: ...

    def page(self, state: JobState | None = None, before: int | None = None, limit: int = 100) -> list[Job]:
        """Jobs with ids below `before`, newest first."""

    def events(self, job_id: int, after: int = 0, limit: int = 500) -> list[JobEvent]:
        """What happened since event `after`, in order. Empty for a job there is not."""

    def note_misses(self, wanted: Sequence[Miss], now: datetime) -> None:
        """Count each; at each doubling the key's queued job gains one step of priority."""

    def top_misses(self, limit: int = 20) -> list[Demand]:
        """The keys that are missed at the highest cost, in calls times work, dearest first."""
