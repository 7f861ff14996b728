"""The tables of the service: what records are made with, studies, jobs, misses, generations, keys.

A change here needs a new file in `migrations/versions/`.
"""

from __future__ import annotations

from sqlalchemy import Column, Double, ForeignKey, Index, Integer, String, Table, Text, text

from .schema import Digest, RowId, Stamp, metadata

ACTIVE = "state IN ('queued', 'running')"
"""SQL of a job that is to be done or being done: there is one for a key at most."""

templates = Table(
    "templates",
    metadata,
    Column("digest", Digest, primary_key=True),
    Column("op", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("seen_at", Stamp, nullable=False),
)

spaces = Table(
    "spaces",
    metadata,
    Column("digest", Digest, primary_key=True),
    Column("template_digest", Digest, ForeignKey("templates.digest"), nullable=False),
    Column("seen_at", Stamp, nullable=False),
)

studies = Table(
    "studies",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("digest", Digest, nullable=False, unique=True),  # of all that is said of it: the same one is kept once
    Column("key_digest", Digest, nullable=False),
    Column("problem_digest", Digest, ForeignKey("problems.digest"), nullable=False),
    Column("target_digest", Digest, ForeignKey("targets.digest"), nullable=False),
    Column("started_at", Stamp, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("trials", Integer, nullable=False),
    Column("sampler", Text, nullable=False),
    Column("seed", RowId, nullable=False),
    Column("stopped", Text, nullable=False),  # why: trials, time, patience …
    Column("templates", Text, nullable=False),  # JSON list of names
    Column("recorded_by", Text, nullable=False),
    Index("ix_studies_history", "key_digest", "started_at"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("key_digest", Digest, nullable=False),  # of problem, place and policy
    Column("op", Text, nullable=False),
    Column("request", Text, nullable=False),  # JSON: the words a worker runs it by
    Column("place", Text, nullable=False),  # digest of a target, or name of a device
    Column("backends", Text, nullable=False),  # ",cuda,triton,": a worker needs one of them
    Column("state", Text, nullable=False),  # queued, running, done, failed, cancelled
    Column("priority", Integer, nullable=False),
    Column("created_at", Stamp, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("token", Integer, nullable=False),  # of the newest lease: grows with each claim
    Column("worker", Text),
    Column("lease_until", Stamp),
    Column("started_at", Stamp),
    Column("finished_at", Stamp),
    Column("trials", Integer, nullable=False),
    Column("best_us", Double),
    Column("error", Text),
    Column("result", Text),  # JSON
    Index("uq_jobs_active", "key_digest", unique=True, sqlite_where=text(ACTIVE), postgresql_where=text(ACTIVE)),
    Index("ix_jobs_queue", "state", "priority", "id"),
)

job_events = Table(
    "job_events",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("job_id", RowId, ForeignKey("jobs.id"), nullable=False),
    Column("kind", Text, nullable=False),  # trial, best, end
    Column("data", Text, nullable=False),  # JSON
    Column("at", Stamp, nullable=False),
    Index("ix_job_events_job", "job_id", "id"),
)

misses = Table(
    "misses",
    metadata,
    Column("key_digest", Digest, primary_key=True),
    Column("op", Text, nullable=False),
    Column("request", Text, nullable=False),  # JSON: the words of the first that missed
    Column("count", Integer, nullable=False),
    Column("gflop", Double, nullable=False),  # of all the misses together
    Column("first_at", Stamp, nullable=False),
    Column("last_at", Stamp, nullable=False),
)

generations = Table(
    "generations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", Digest, nullable=False),  # of all its answers
    Column("created_at", Stamp, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("answers", Integer, nullable=False),
)

generation_answers = Table(
    "generation_answers",
    metadata,
    Column("generation", Integer, ForeignKey("generations.number"), primary_key=True, autoincrement=False),
    Column("key_digest", Digest, primary_key=True),
    Column("problem_digest", Digest, nullable=False),
    Column("op", Text, nullable=False),
    Column("json", Text, nullable=False),  # canonical: these bytes are the answer, for ever
    Index("ix_generation_answers_problem", "generation", "problem_digest"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(16), primary_key=True),  # public part of the key
    Column("name", Text, nullable=False),
    Column("sha256", String(64), nullable=False),  # of the whole key
    Column("scopes", Text, nullable=False),  # JSON list
    Column("created_at", Stamp, nullable=False),
    Column("expires_at", Stamp),
    Column("revoked_at", Stamp),
    Column("last_used_at", Stamp),
)
