"""The JSON of records and incidents: every field to the last bit on its way out, checked and bounded on its way in.

What a newer kerntune says beside the known names is passed over, except in what makes up a key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

from ..spaces.canonical import digest as digest_of
from ..spaces.config import Config
from ..spaces.errors import UsageError
from .checked import digest, listed, mapping, member, name, number, one_of, plain, shown, text, truth, whole
from .records import Baseline, Failure, FailureKind, Incident, Measurement, Phase, Record, RecordKey, Verdict
from .wire import stamp_from_text, stamp_to_text, verdict_to_json
from .wire_targets import IDENTIFIER, policy_checked, problem_checked, target_checked

MOST_PER_UPLOAD = 1000
MOST_UPLOAD_BYTES = 8 * 2**20
"""Of one POST /v1/records."""

MOST_SAMPLES = 500_000
"""A playoff on a processor times each contender up to 4 x 2,048 times a round, in up to 60 rounds."""

MOST_ROUNDS = 10_000
LEAST_US, MOST_US = 1e-6, 1e12
"""What a time may be: quotients of two such are finite."""
MOST_REASON_CHARS = 20_000
MOST_PARAMETERS = 200
MOST_VENDOR_WAYS = 16
MOST_TIED = 1000
MOST_DETAIL_CHARS = 65_536
"""Of readings, and of uses, as JSON."""
MOST_DETAIL_DEPTH = 8
FIRST_YEAR, LAST_YEAR = 2000, 9000


def record_to_json(record: Record) -> dict[str, Any]:
    """A record as plain JSON values; times in µs, stamps in UTC."""
    measured, baseline, verdict = record.measurement, record.baseline, record.verdict
    failed = record.outcome if isinstance(record.outcome, Failure) else None
    return {
        **key_to_json(record.key),
        "template": record.template,
        "template_digest": record.template_digest,
        "space_digest": record.space_digest,
        "config": dict(record.config),
        "phase": record.phase,
        "measurement": None if measured is None else _measurement_to_json(measured),
        "failure": None if failed is None else {"kind": failed.kind, "reason": failed.reason},
        "baseline": None if baseline is None else _baseline_to_json(baseline),
        "verdict": None if verdict is None else verdict_to_json(verdict),
        "recorded_at": stamp_to_text(record.recorded_at),
        "recorded_by": record.recorded_by,
    }


def record_from_json(data: object) -> Record:
    """The record that `record_to_json` wrote. Raises: UsageError, naming the field, for anything else."""
    said = mapping(data, "a record")
    return Record(
        key=key_from_json(said),
        template=name(member(said, "template"), "template"),
        template_digest=digest(member(said, "template_digest"), "template_digest"),
        space_digest=digest(member(said, "space_digest"), "space_digest"),
        config=_config(member(said, "config")),
        outcome=_outcome(said),
        recorded_at=_stamp(member(said, "recorded_at"), "recorded_at"),
        recorded_by=text(member(said, "recorded_by"), "recorded_by", 200),
        phase=one_of(member(said, "phase"), "phase", get_args(Phase)),
        baseline=None if said.get("baseline") is None else _baseline(said["baseline"], "baseline"),
        verdict=_verdict(said),
    )


def record_digest(record: Record) -> str:
    """Identity of all that a record says; the order of its config's parameters is not said."""
    return digest_of(record_to_json(record))


def incident_to_json(key: RecordKey, incident: Incident) -> dict[str, Any]:
    """An incident, with the key that it may explain, as plain JSON values."""
    return {**key_to_json(key), "kind": incident.kind, "reason": incident.reason}


def incident_from_json(data: object) -> tuple[RecordKey, Incident]:
    """What `incident_to_json` wrote. Raises: UsageError, naming the field, for anything else."""
    said = mapping(data, "an incident")
    kind, reason = name(member(said, "kind"), "kind"), text(member(said, "reason"), "reason", MOST_REASON_CHARS)
    return key_from_json(said), Incident(kind, reason)


def key_to_json(key: RecordKey) -> dict[str, Any]:
    """Problem, target and policy as plain JSON values."""
    return {"problem": key.problem.as_dict(), "target": key.target.as_dict(), "policy": key.policy.as_dict()}


def key_from_json(data: Mapping[str, Any]) -> RecordKey:
    """The key among these values. Raises: UsageError."""
    return RecordKey(
        problem_checked(member(data, "problem")),
        target_checked(member(data, "target")),
        policy_checked(member(data, "policy")),
    )


def _measurement_to_json(measured: Measurement) -> dict[str, Any]:
    return {
        "samples_us": [float(sample) for sample in measured.samples_us],
        "deterministic": measured.deterministic,
        "raced_out": measured.raced_out,
        "readings": None if measured.readings is None else dict(measured.readings),
        "uses": None if measured.uses is None else dict(measured.uses),
    }


def _baseline_to_json(baseline: Baseline) -> dict[str, Any]:
    interval = baseline.speedup_interval
    return {
        "name": baseline.name,
        "samples_us": [float(sample) for sample in baseline.samples_us],
        "speedup": baseline.speedup,
        "speedup_interval": None if interval is None else list(interval),
        "fault": baseline.fault,
        "others": [_baseline_to_json(other) for other in baseline.others],
    }


def _config(data: object) -> Config:
    said = mapping(data, "config", MOST_PARAMETERS)
    for parameter in said:
        if not IDENTIFIER.fullmatch(parameter):
            raise UsageError(f"config has a parameter {shown(parameter)}: its name is letters, digits and _.")
    return Config({parameter: plain(value, f"config.{parameter}") for parameter, value in said.items()})


def _outcome(said: Mapping[str, Any]) -> Measurement | Failure:
    measured, failed = said.get("measurement"), said.get("failure")
    if (measured is None) == (failed is None):
        raise UsageError("a record has either a measurement or a failure, and the other is null.")
    if failed is not None:
        words = mapping(failed, "failure")
        kind = one_of(member(words, "kind", "failure."), "failure.kind", get_args(FailureKind))
        return Failure(kind, text(member(words, "reason", "failure."), "failure.reason", MOST_REASON_CHARS))
    words = mapping(measured, "measurement")
    deterministic = words.get("deterministic")
    return Measurement(
        _samples(words, "measurement"),
        None if deterministic is None else truth(deterministic, "measurement.deterministic"),
        truth(words.get("raced_out", False), "measurement.raced_out"),
        _details(words.get("readings"), "measurement.readings"),
        _details(words.get("uses"), "measurement.uses"),
    )


def _samples(said: Mapping[str, Any], where: str) -> tuple[float, ...]:
    at = f"{where}.samples_us"
    samples = listed(member(said, "samples_us", f"{where}."), at, MOST_SAMPLES, _time)
    if not samples:
        raise UsageError(f"{at} is empty: it takes at least one time, in µs.")
    return samples


def _time(value: object, where: str) -> float:
    return number(value, where, LEAST_US, MOST_US)


def _ratio(value: object, where: str) -> float:
    return number(value, where, LEAST_US / MOST_US, MOST_US / LEAST_US)


def _baseline(data: object, where: str, *, may_have_others: bool = True) -> Baseline:
    said = mapping(data, where)
    speedup, interval, fault = said.get("speedup"), said.get("speedup_interval"), said.get("fault")
    bounds = None if interval is None else listed(interval, f"{where}.speedup_interval", 2, _ratio)
    if bounds is not None and len(bounds) != 2:
        raise UsageError(f"{where}.speedup_interval has {len(bounds)} entries: it has a lower bound and an upper one.")
    others = listed(
        said.get("others", []),
        f"{where}.others",
        MOST_VENDOR_WAYS if may_have_others else 0,
        lambda other, at: _baseline(other, at, may_have_others=False),
    )
    return Baseline(
        text(member(said, "name", f"{where}."), f"{where}.name", 200),
        _samples(said, where),
        None if speedup is None else _ratio(speedup, f"{where}.speedup"),
        None if bounds is None else (bounds[0], bounds[1]),
        None if fault is None else text(fault, f"{where}.fault", MOST_REASON_CHARS),
        others,
    )


def _verdict(said: Mapping[str, Any]) -> Verdict | None:
    if said.get("verdict") is None:
        return None
    if said.get("measurement") is None:
        raise UsageError("verdict is of the winner of a playoff: a failure has none.")
    words = mapping(said["verdict"], "verdict")
    return Verdict(
        ranked_us=_time(member(words, "ranked_us", "verdict."), "verdict.ranked_us"),
        confidence=number(member(words, "confidence", "verdict."), "verdict.confidence", 0, 1),
        rounds=whole(member(words, "rounds", "verdict."), "verdict.rounds", 0, MOST_ROUNDS),
        tied_with=listed(words.get("tied_with", []), "verdict.tied_with", MOST_TIED, digest),
    )


def _details(data: object, where: str) -> Mapping[str, Any] | None:
    """Names with plain JSON values, not too deep and not too many."""
    if data is None:
        return None
    said = mapping(data, where)
    _check_depth(said, where, MOST_DETAIL_DEPTH)
    chars = len(json.dumps(said))
    if chars > MOST_DETAIL_CHARS:
        raise UsageError(f"{where} is {chars:,} characters of JSON: {MOST_DETAIL_CHARS:,} are allowed.")
    return said


def _check_depth(value: object, where: str, left: int) -> None:
    if isinstance(value, Mapping | list):
        if left == 0:
            raise UsageError(f"{where} is nested deeper than {MOST_DETAIL_DEPTH} levels.")
        for entry in value.values() if isinstance(value, Mapping) else value:
            _check_depth(entry, where, left - 1)


def _stamp(value: object, where: str) -> datetime:
    said = text(value, where, 40)
    try:
        stamp = datetime.fromisoformat(said)
    except ValueError:
        raise UsageError(f"{where} is {shown(said)}: it takes a stamp such as 2026-11-22T15:33:00+00:00.") from None
    if stamp.tzinfo is None or not FIRST_YEAR <= stamp.year <= LAST_YEAR:
        raise UsageError(f"{where} is {shown(said)}: a stamp has its zone, and a year from {FIRST_YEAR} on.")
    return stamp_from_text(said)
