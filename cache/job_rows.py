"""How a job, its events and the misses lie in their tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..spaces.canonical import canonical_json
from . import job_rules
from .jobs import Demand, Happening, Job, JobEvent, Miss
from .rules import clean_value
from .wire import stamp_from_text, stamp_to_text

_STAMPS = ("created_at", "lease_until", "started_at", "finished_at")
_PLAIN = ("key_digest", "op", "place", "state", "priority", "created_by", "tries", "token", "worker", "trials")


def job_row(job: Job) -> dict[str, Any]:
    """A job as a row of `jobs`, without its id."""
    row: dict[str, Any] = {name: getattr(job, name) for name in (*_PLAIN, "best_us", "error")}
    for name in _STAMPS:
        stamp = getattr(job, name)
        row[name] = None if stamp is None else stamp_to_text(stamp)
    return row | {
        "request": canonical_json(job.request),
        "backends": "".join(f",{name}" for name in job.backends) + ",",
        "result": None if job.result is None else canonical_json(job.result),
    }


def job_from_row(row: Mapping[str, Any]) -> Job:
    """The job `job_row` wrote."""
    stamps: dict[str, Any] = {name: row[name] and stamp_from_text(row[name]) for name in _STAMPS}
    plain: dict[str, Any] = {name: row[name] for name in ("id", *_PLAIN, "best_us", "error")}
    return Job(
        **plain,
        **stamps,
        request=json.loads(row["request"]),
        backends=tuple(filter(None, row["backends"].split(","))),
        result=row["result"] and json.loads(row["result"]),
    )


def event_row(job_id: int, happening: Happening, at: datetime) -> dict[str, Any]:
    """What happened as a row of `job_events`; its number is the database's."""
    kept = job_rules.cleaned(happening)
    return {"job_id": job_id, "kind": kept.kind, "data": canonical_json(kept.data), "at": stamp_to_text(at)}


def event_from_row(row: Mapping[str, Any]) -> JobEvent:
    """The event `event_row` wrote."""
    return JobEvent(row["id"], row["job_id"], row["kind"], json.loads(row["data"]), stamp_from_text(row["at"]))


def miss_row(miss: Miss, now: datetime) -> dict[str, Any]:
    """The first misses of a key as a row of `misses`."""
    at = stamp_to_text(now)
    request = canonical_json(clean_value(miss.request))
    counted = {"count": miss.count, "gflop": miss.gflop * miss.count, "first_at": at, "last_at": at}
    return {"key_digest": miss.key_digest, "op": miss.op, "request": request} | counted


def demand_from_row(row: Mapping[str, Any]) -> Demand:
    """What a row of `misses` says."""
    words = row["key_digest"], row["op"], json.loads(row["request"])
    first_at, last_at = stamp_from_text(row["first_at"]), stamp_from_text(row["last_at"])
    return Demand(*words, row["count"], row["gflop"], first_at, last_at)
