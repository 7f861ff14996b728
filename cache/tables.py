"""The tables of facts, and how a record lies in them. A change here needs a new file in `migrations/versions/`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Double, ForeignKey, Index, Table, Text

from ..spaces.canonical import canonical_json, digest
from ..spaces.errors import StoreError, UsageError
from ..spaces.targets import Target
from .records import Failure, Policy, Record, RecordKey
from .schema import Digest, RowId, Stamp, metadata
from .wire import (
    baseline_from_json,
    config_from_json,
    details_to_json,
    measurement_from_json,
    problem_from_json,
    speedup_to_json,
    stamp_from_text,
    stamp_to_text,
    verdict_from_json,
    verdict_to_json,
)

OK = "ok"
"""Outcome of a measured record; any other outcome is the kind of a Failure."""

problems = Table(
    "problems",
    metadata,
    Column("digest", Digest, primary_key=True),
    Column("op", Text, nullable=False),
    Column("json", Text, nullable=False),  # canonical
    Index("ix_problems_op", "op"),
)

targets = Table(
    "targets",
    metadata,
    Column("digest", Digest, primary_key=True),
    Column("kind", Text, nullable=False),  # cpu, gpu
    Column("name", Text, nullable=False),
    Column("json", Text, nullable=False),
)

records = Table(
    "records",
    metadata,
    Column("id", RowId, primary_key=True),  # in order of arrival: settles two records of one stamp
    Column("digest", Digest, nullable=False, unique=True),  # of all that the record says: the same one is kept once
    Column("key_digest", Digest, nullable=False),  # of problem, target and policy
    Column("problem_digest", Digest, ForeignKey("problems.digest"), nullable=False),
    Column("target_digest", Digest, ForeignKey("targets.digest"), nullable=False),
    Column("policy_cache", Text, nullable=False),  # cold, warm
    Column("policy_launch", Text, nullable=False),  # graph, eager
    Column("template", Text, nullable=False),
    Column("template_digest", Digest, nullable=False),
    Column("space_digest", Digest, nullable=False),
    Column("config_digest", Digest, nullable=False),
    Column("config", Text, nullable=False),  # JSON in the space's order, so not canonical
    Column("phase", Text, nullable=False),  # search, playoff
    Column("outcome", Text, nullable=False),  # ok, or the kind of failure
    Column("reason", Text),  # of a failure
    Column("median_us", Double),
    Column("spread_us", Double),
    Column("samples_us", Text),  # JSON list
    Column("details", Text),  # JSON: what else is known of the measurement (wire.details_to_json)
    Column("ranked_us", Double),  # what records are compared by; none for what cannot win
    Column("verdict", Text),  # JSON, of the winner of a playoff
    Column("baseline_name", Text),
    Column("baseline_samples_us", Text),  # JSON list
    Column("baseline_speedup", Text),  # JSON: paired by round, with its interval; the vendor's other ways
    Column("recorded_at", Stamp, nullable=False),
    Column("recorded_by", Text, nullable=False),
    # `best` and `candidates` rank inside this index and then read the winners' rows only.
    Index(
        "ix_records_ranking",
        "problem_digest",
        "key_digest",
        "template_digest",
        "config_digest",
        "recorded_at",
        "outcome",
        "phase",
        "ranked_us",
    ),
    Index("ix_records_history", "key_digest", "recorded_at"),
    Index("ix_records_target", "target_digest"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("key_digest", Digest, nullable=False),
    Column("problem_digest", Digest, ForeignKey("problems.digest"), nullable=False),
    Column("target_digest", Digest, ForeignKey("targets.digest"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("recorded_at", Stamp, nullable=False),
    Index("ix_incidents_history", "key_digest", "recorded_at"),
)


def problem_row(key: RecordKey) -> dict[str, str]:
    """The problem of a key as a row of `problems`."""
    return {"digest": key.problem.digest, "op": key.problem.op, "json": key.problem.canonical()}


def target_row(target: Target) -> dict[str, str]:
    """A target as a row of `targets`."""
    return {"digest": target.digest, "kind": target.kind, "name": target.name, "json": canonical_json(target.as_dict())}


def template_row(record: Record) -> dict[str, str]:
    """The template of a record as a row of `templates`."""
    seen = {"seen_at": stamp_to_text(record.recorded_at)}
    return {"digest": record.template_digest, "op": record.key.problem.op, "name": record.template} | seen


def space_row(record: Record) -> dict[str, str]:
    """The space of a record as a row of `spaces`."""
    seen = {"seen_at": stamp_to_text(record.recorded_at)}
    return {"digest": record.space_digest, "template_digest": record.template_digest} | seen


def key_columns(key: RecordKey) -> dict[str, str]:
    """The columns by which a row belongs to a key."""
    return {"key_digest": key.digest, "problem_digest": key.problem.digest, "target_digest": key.target.digest}


def record_row(record: Record) -> dict[str, Any]:
    """A record as a row of `records`; its `digest` is that of every other column, so equal records are one row."""
    measured, baseline = record.measurement, record.baseline
    failed = record.outcome if isinstance(record.outcome, Failure) else None
    row: dict[str, Any] = {
        **key_columns(record.key),
        "policy_cache": record.key.policy.cache,
        "policy_launch": record.key.policy.launch,
        "template": record.template,
        "template_digest": record.template_digest,
        "space_digest": record.space_digest,
        "config_digest": record.config.digest,
        "phase": record.phase,
        "outcome": failed.kind if failed else OK,
        "reason": failed.reason if failed else None,
        "median_us": float(measured.median_us) if measured else None,
        "spread_us": float(measured.spread_us) if measured else None,
        "samples_us": _list(measured.samples_us) if measured else None,
        "baseline_name": baseline.name if baseline else None,
        "baseline_samples_us": _list(baseline.samples_us) if baseline else None,
        "recorded_at": stamp_to_text(record.recorded_at),
        "recorded_by": record.recorded_by,
    }
    later = {
        "details": _text(details_to_json(measured) if measured else None),
        "verdict": _text(verdict_to_json(record.verdict) if record.verdict else None),
        "baseline_speedup": _text(speedup_to_json(baseline) if baseline else None),
    }
    # A record that says nothing in the columns of schema 0002 keeps the digest it had under 0001.
    said = row | {name: text for name, text in later.items() if text is not None}
    ranked = {"ranked_us": None if record.ranked_us is None else float(record.ranked_us)}
    config = json.dumps(dict(record.config), allow_nan=False)
    return {**row, **later, **ranked, "digest": digest(said), "config": config}


def record_from_row(row: Mapping[str, Any], key: RecordKey | None = None) -> Record:
    """The record of a row. Without `key`, the row also holds `problem_json` and `target_json`.

    Raises: StoreError for a row that says nothing sensible.
    """
    try:
        return Record(
            key=key or key_from_row(row),
            template=row["template"],
            template_digest=row["template_digest"],
            space_digest=row["space_digest"],
            config=config_from_json(json.loads(row["config"])),
            outcome=measurement_from_json(json.loads(row["samples_us"]), json.loads(row["details"] or "{}"))
            if row["outcome"] == OK
            else Failure(row["outcome"], row["reason"]),
            recorded_at=stamp_from_text(row["recorded_at"]),
            recorded_by=row["recorded_by"],
            phase=row["phase"],
            baseline=baseline_from_json(
                row["baseline_name"],
                json.loads(row["baseline_samples_us"]),
                json.loads(row["baseline_speedup"] or "null"),
            )
            if row["baseline_name"] is not None
            else None,
            verdict=verdict_from_json(json.loads(row["verdict"])) if row["verdict"] is not None else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError, UsageError) as error:
        raise StoreError(
            f"row {row['id']} of table records is damaged: {type(error).__name__} {error}. "
            f"Remove it: DELETE FROM records WHERE id = {row['id']}."
        ) from None


def key_from_row(row: Mapping[str, Any]) -> RecordKey:
    """The key of a row with `problem_json`, `target_json` and the policy."""
    return RecordKey(
        problem_from_json(json.loads(row["problem_json"])),
        Target.from_dict(json.loads(row["target_json"])),
        Policy(row["policy_cache"], row["policy_launch"]),
    )


def _text(data: Mapping[str, Any] | None) -> str | None:
    return canonical_json(data) if data else None


def _list(samples_us: tuple[float, ...]) -> str:
    return json.dumps([float(sample) for sample in samples_us], allow_nan=False)
