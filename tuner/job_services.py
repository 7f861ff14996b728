"""Jobs as the server asks for them: a query and a wish become a job that a worker can run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ..cache.jobs import Capacity, Claim, Demand, Happening, Job, JobEvent, Jobs, JobState, Outcome, Submitted
from ..cache.records import Answer
from ..cache.store import Store
from ..spaces.targets import Target
from . import job_making
from .job_words import Wish
from .lookup import Query
from .meanwhile import Meanwhile
from .miss_counter import MissCounter

MOST_REMEMBERED = 1000
BETWEEN_LOOKS = timedelta(seconds=1)
"""For leases that ran out, by those who only look: two hundred may follow jobs at once."""


class QueuedJobs:
    """Jobs in a queue, beside the store their answers go to. It owns neither of the two, but is closed before them.

    As safe to call from several threads as they are. Leases that ran out are ended when somebody asks, once a second.
    """

    def __init__(self, jobs: Jobs, store: Store, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._jobs = jobs
        self._store = store
        self._now = now
        self._meanwhile = Meanwhile(store)
        self._misses = MissCounter(self._write_misses)
        self._last_expired: datetime | None = None
        self._registered: set[str] = set()  # digests of targets whose workers asked before

    def targets(self) -> list[Target]:
        """Every target something is known about. Raises: StoreError."""
        return self._store.targets()

    def target(self, digest: str) -> Target | None:
        """A target that is known or was registered. Raises: StoreError."""
        return self._store.target(digest)

    def submit(self, query: Query, wish: Wish, priority: int = 0, asked_by: str = "") -> Submitted:
        """The active job of the query's key, made where there is none.

        Raises: UnknownName for a sampler or template there is not, NoFeasibleConfig where no template can compute it,
        UsageError for words that no worker would take.
        """
        new = job_making.new_job(query, wish, self._store.targets(), priority, asked_by)
        return self._jobs.submit(new, self._expired())

    def missed(self, queries: Sequence[Query], wish: Wish | None = None, asked_by: str = "") -> list[Job]:
        """Count the misses, and give the job of each: of many who miss one key at once, all get the same job."""
        targets = self._store.targets()
        self._jobs.note_misses([job_making.miss(query, targets) for query in queries], self._now())
        return [self.submit(query, wish or Wish(), asked_by=asked_by).job for query in queries]

    def known_meanwhile(self, query: Query) -> Answer | None:
        """The best answer there is while the job waits, even one of another shape. Raises: StoreError."""
        return self._meanwhile(query)

    def note_miss(self, query: Query) -> None:
        """Count a query that had no answer, soon. Waits for nothing and raises nothing."""
        self._misses.note(query)

    def top_misses(self, limit: int) -> list[Demand]:
        """What is missed at the highest cost, dearest first."""
        return self._jobs.top_misses(limit)

    def claim(self, worker: str, target: Target, backends: Sequence[str], lease_s: float) -> Claim | None:
        """A job for this worker, whose target is known from now on; None where there is none."""
        if target.digest not in self._registered:
            self._store.add_target(target)
            if len(self._registered) >= MOST_REMEMBERED:
                self._registered.clear()
            self._registered.add(target.digest)
        places = (target.digest, target.name, target.kind)
        return self._jobs.claim(Capacity(worker, places, tuple(backends)), lease_s, self._now())

    def heartbeat(self, job_id: int, token: int, lease_s: float) -> bool:
        """Prolong a lease; True: stop, the job was cancelled. Raises: UnknownJob, LeaseLost."""
        return self._jobs.heartbeat(job_id, token, lease_s, self._now())

    def add_events(self, job_id: int, token: int, happenings: Sequence[Happening]) -> Job:
        """Keep what happened. Raises: UnknownJob, LeaseLost."""
        return self._jobs.add_events(job_id, token, happenings, self._now())

    def finish(
        self, job_id: int, token: int, outcome: Outcome, error: str | None, result: Mapping[str, Any] | None
    ) -> Job:
        """End a lease. Raises: UnknownJob, LeaseLost."""
        return self._jobs.finish(job_id, token, outcome, self._now(), error, result)

    def cancel(self, job_id: int) -> Job:
        """End an active job. Raises: UnknownJob."""
        return self._jobs.cancel(job_id, self._now())

    def get(self, job_id: int) -> Job:
        """The job as it is now. Raises: UnknownJob."""
        self._expired()
        return self._jobs.get(job_id)

    def page(self, state: JobState | None, before: int | None, limit: int) -> list[Job]:
        """Jobs with ids below `before`, newest first."""
        self._expired()
        return self._jobs.page(state, before, limit)

    def happened(self, job_id: int, after: int) -> tuple[list[JobEvent], bool]:
        """Some of what happened since event `after`, in order; and whether nothing more will. Raises: UnknownJob."""
        ended = not self.get(job_id).is_active  # asked first: a job's end is its last event
        events = self._jobs.events(job_id, after)
        return events, ended and not events

    def close(self) -> None:
        """Write down the misses that are counted. Idempotent."""
        self._misses.close()

    def _expired(self) -> datetime:
        """Now, when no lease is over for longer than a second that its job does not know of."""
        now = self._now()
        if self._last_expired is None or abs(now - self._last_expired) >= BETWEEN_LOOKS:
            self._jobs.expire(now)
            self._last_expired = now
        return now

    def _write_misses(self, counts: Mapping[Query, int]) -> None:
        targets = self._store.targets()
        misses = [job_making.miss(query, targets, count) for query, count in counts.items()]
        self._jobs.note_misses(misses, self._now())
