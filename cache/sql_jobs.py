"""SqlJobs: the queue in SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, case, delete, false, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from ..spaces.errors import StoreError
from . import job_rules
from .database import Database
from .job_rows import demand_from_row, event_from_row, event_row, job_from_row, job_row, miss_row
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
from .service_tables import ACTIVE, job_events, jobs, misses
from .wire import stamp_to_text

ROUNDS = 20
"""So often a submitter may be overtaken by jobs of its key that begin and end."""
EXPIRED_AT_ONCE = 200


class SqlJobs:
    """Jobs as rows: they survive a restart of the server. The database is shared; its owner closes it.

    What becomes of a job is decided by the rules (job_rules.py) while its row is locked. Whoever writes misses and jobs
    takes the misses first, so that no two wait for each other in a circle.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(self, new: NewJob, now: datetime) -> Submitted:
        for _ in range(ROUNDS):
            with self._database.reading() as connection:
                active = _first(connection, select(jobs).where(text(ACTIVE), jobs.c.key_digest == new.key_digest))
                count = connection.scalar(select(misses.c.count).where(misses.c.key_digest == new.key_digest)) or 0
            priority = job_rules.priority_with(new.priority, count)
            if active is None:
                made = job_row(job_rules.made(new, 0, priority, now))
                # The unique index of active jobs decides: of many who come this far at once, one makes the job.
                once = self._insert()(jobs).values(made).on_conflict_do_nothing().returning(jobs)
                with self._database.transaction() as connection:
                    row = connection.execute(once).mappings().first()
                if row is not None:
                    return Submitted(job_from_row(dict(row)), is_new=True)
            elif active.state == "running" or active.priority >= priority:
                return Submitted(active, is_new=False)
            else:
                with self._database.transaction() as connection:
                    lower = (jobs.c.id == active.id, jobs.c.state == "queued", jobs.c.priority < priority)
                    connection.execute(update(jobs).where(*lower).values(priority=priority))
        raise StoreError(f"{self._database.where}: jobs of key {new.key_digest} come and go too fast. Try again.")

    def claim(self, capacity: Capacity, lease_s: float, now: datetime) -> Claim | None:
        self.expire(now)
        backends = or_(false(), *(jobs.c.backends.contains(f",{name},", autoescape=True) for name in capacity.backends))
        fitting = (
            select(jobs)
            .where(jobs.c.state == "queued", jobs.c.place.in_(capacity.places), backends)
            .order_by(jobs.c.priority.desc(), jobs.c.id)
            .limit(1)
        )
        with self._database.reading() as connection:
            if connection.execute(fitting).first() is None:
                return None  # an idle worker asks often, and takes no lock for it
        with self._database.transaction() as connection:
            first = _first(connection, fitting.with_for_update(skip_locked=True))  # another worker's is passed over
            if first is None:
                return None
            claim = job_rules.claimed(first, capacity.worker, lease_s, now)
            _keep(connection, first, claim.job, now)
            return claim

    def heartbeat(self, job_id: int, token: int, lease_s: float, now: datetime) -> bool:
        with self._database.transaction() as connection:
            job = _change(connection, job_id, lambda job: job_rules.prolonged(job, token, lease_s, now), now)
        return job.state == "cancelled"

    def add_events(self, job_id: int, token: int, happenings: Sequence[Happening], now: datetime) -> Job:
        with self._database.transaction() as connection:
            # The job's row is locked first: so a job's events get their numbers in the order in which they are seen.
            job = _change(connection, job_id, lambda job: job_rules.progressed(job, token, happenings), now)
            _tell(connection, job_id, happenings, now)
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
        with self._database.transaction() as connection:
            if outcome == "done":
                key = select(jobs.c.key_digest).where(jobs.c.id == job_id).scalar_subquery()
                connection.execute(delete(misses).where(misses.c.key_digest == key))
            return _change(
                connection, job_id, lambda job: job_rules.finished(job, token, outcome, now, error, result), now
            )

    def cancel(self, job_id: int, now: datetime) -> Job:
        with self._database.transaction() as connection:
            return _change(connection, job_id, lambda job: job_rules.cancelled(job, now), now)

    def expire(self, now: datetime) -> int:
        late = (
            select(jobs)
            .where(jobs.c.state == "running", jobs.c.lease_until < stamp_to_text(now))
            .order_by(jobs.c.id)
            .limit(EXPIRED_AT_ONCE)
        )
        with self._database.reading() as connection:
            if connection.execute(late.limit(1)).first() is None:
                return 0
        with self._database.transaction() as connection:
            found = [
                job_from_row(dict(row)) for row in connection.execute(late.with_for_update(skip_locked=True)).mappings()
            ]
            for job in found:
                _keep(connection, job, job_rules.expired(job, now), now)
        return len(found)

    def get(self, job_id: int) -> Job:
        with self._database.reading() as connection:
            return _known(connection, job_id, select(jobs))

    def page(self, state: JobState | None = None, before: int | None = None, limit: int = 100) -> list[Job]:
        wanted = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
        if state is not None:
            wanted = wanted.where(jobs.c.state == state)
        if before is not None:
            wanted = wanted.where(jobs.c.id < before)
        with self._database.reading() as connection:
            return [job_from_row(dict(row)) for row in connection.execute(wanted).mappings()]

    def events(self, job_id: int, after: int = 0, limit: int = 500) -> list[JobEvent]:
        newer = select(job_events).where(job_events.c.job_id == job_id, job_events.c.id > after)
        with self._database.reading() as connection:
            rows = connection.execute(newer.order_by(job_events.c.id).limit(limit)).mappings()
            return [event_from_row(dict(row)) for row in rows]

    def note_misses(self, wanted: Sequence[Miss], now: datetime) -> None:
        in_order = sorted(wanted, key=lambda miss: miss.key_digest)  # of keys, so that two callers take turns
        with self._database.transaction() as connection:
            counts = [(miss, self._count(connection, miss, now)) for miss in in_order]
            for miss, count in counts:
                if steps := job_rules.steps_of(count, miss.count):
                    queued = (jobs.c.key_digest == miss.key_digest, jobs.c.state == "queued")
                    raised = jobs.c.priority + steps
                    highest = case((raised > MAX_PRIORITY, MAX_PRIORITY), else_=raised)
                    connection.execute(update(jobs).where(*queued).values(priority=highest))

    def top_misses(self, limit: int = 20) -> list[Demand]:
        dearest = (misses.c.gflop.desc(), misses.c.count.desc(), misses.c.key_digest)
        with self._database.reading() as connection:
            rows = connection.execute(select(misses).order_by(*dearest).limit(limit)).mappings()
            return [demand_from_row(dict(row)) for row in rows]

    def _count(self, connection: Connection, miss: Miss, now: datetime) -> int:
        """How often the key was missed by now."""
        first = miss_row(miss, now)
        again = {
            "count": misses.c.count + first["count"],
            "gflop": misses.c.gflop + first["gflop"],
            "last_at": first["last_at"],
        }
        counted = self._insert()(misses).values(first).on_conflict_do_update(index_elements=["key_digest"], set_=again)
        return int(connection.execute(counted.returning(misses.c.count)).scalar_one())

    def _insert(self) -> Callable[..., Any]:
        """INSERT in the words of this database, which knows what to do on a conflict."""
        return sqlite.insert if self._database.dialect == "sqlite" else postgresql.insert


def _first(connection: Connection, query: Select[Any]) -> Job | None:
    row = connection.execute(query).mappings().first()
    return None if row is None else job_from_row(dict(row))


def _known(connection: Connection, job_id: int, query: Select[Any]) -> Job:
    job = _first(connection, query.where(jobs.c.id == job_id))
    if job is None:
        raise UnknownJob(f"there is no job {job_id}.")
    return job


def _change(connection: Connection, job_id: int, rule: Callable[[Job], Job], now: datetime) -> Job:
    """What the rule makes of a job, whose row is locked meanwhile."""
    before = _known(connection, job_id, select(jobs).with_for_update())
    return _keep(connection, before, rule(before), now)


def _keep(connection: Connection, before: Job, after: Job, now: datetime) -> Job:
    """Write a job that changed; one that ended by it says so to those who listen."""
    if after != before:
        connection.execute(update(jobs).where(jobs.c.id == after.id).values(job_row(after)))
    if before.is_active and not after.is_active:
        _tell(connection, after.id, [job_rules.end_of(after)], now)
    return after


def _tell(connection: Connection, job_id: int, happenings: Sequence[Happening], now: datetime) -> None:
    if happenings:
        connection.execute(job_events.insert(), [event_row(job_id, happening, now) for happening in happenings])
