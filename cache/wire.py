"""The JSON of records and answers, used by client and server alike. Foreign text is checked here and nowhere later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

from ..spaces.config import Config
from ..spaces.errors import UsageError
from ..spaces.problems import Problem
from ..spaces.targets import Target
from .records import Answer, Baseline, Match, Measurement, Policy, Verdict


def answer_to_json(answer: Answer) -> dict[str, Any]:
    """An answer as plain JSON values; times in µs, stamps in UTC."""
    return {
        "problem": answer.problem.as_dict(),
        "target": answer.target.as_dict(),
        "policy": answer.policy.as_dict(),
        "template": answer.template,
        "config": dict(answer.config),
        "digest": answer.digest,
        "match": answer.match,
        "median_us": answer.median_us,
        "spread_us": answer.spread_us,
        "baseline": None
        if answer.baseline_us is None
        else {"name": answer.baseline_name, "median_us": answer.baseline_us},
        "speedup": answer.speedup,
        "differences": list(answer.differences),
        "expected_slowdown": answer.expected_slowdown,
        "generation": answer.generation,
        "evidence": {
            "samples": answer.samples,
            "recorded_at": stamp_to_text(answer.recorded_at),
            "recorded_by": answer.recorded_by,
        },
    }


def answer_from_json(data: Mapping[str, Any]) -> Answer:
    """The answer `answer_to_json` wrote. Raises: UsageError for anything else."""
    try:
        if data["match"] not in get_args(Match):
            raise UsageError(f'"{data["match"]}" is not a match. Known: {", ".join(get_args(Match))}.')
        baseline = data["baseline"] or {}
        evidence = data["evidence"]
        return Answer(
            config=config_from_json(data["config"]),
            template=str(data["template"]),
            match=data["match"],
            problem=problem_from_json(data["problem"]),
            target=Target.from_dict(data["target"]),
            policy=Policy(**data["policy"]),
            median_us=float(data["median_us"]),
            spread_us=float(data["spread_us"]),
            samples=int(evidence["samples"]),
            recorded_at=stamp_from_text(evidence["recorded_at"]),
            recorded_by=str(evidence["recorded_by"]),
            baseline_name=baseline.get("name"),
            baseline_us=baseline.get("median_us"),
            differences=tuple(map(str, data["differences"])),
            expected_slowdown=data["expected_slowdown"],
            generation=data["generation"],
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(f"not an answer: {type(error).__name__} {error}. Is the server of another version?") from None


def details_to_json(measurement: Measurement) -> dict[str, Any]:
    """What is known of a measurement beside its samples; what is not known is not said."""
    said = {
        "deterministic": measurement.deterministic,
        "raced_out": measurement.raced_out or None,
        "readings": None if measurement.readings is None else dict(measurement.readings),
        "uses": None if measurement.uses is None else dict(measurement.uses),
    }
    return {name: value for name, value in said.items() if value is not None}


def measurement_from_json(samples_us: Sequence[float], details: Mapping[str, Any]) -> Measurement:
    """The measurement of these samples; keys of a newer kerntune are passed over. Raises: UsageError, ValueError."""
    deterministic, raced_out = details.get("deterministic"), details.get("raced_out", False)
    readings, uses = details.get("readings"), details.get("uses")
    if not isinstance(deterministic, bool | None) or not isinstance(raced_out, bool):
        raise UsageError("deterministic and raced_out are true or false.")
    if not isinstance(readings, dict | None) or not isinstance(uses, dict | None):
        raise UsageError("readings and uses are names with values.")
    return Measurement(tuple(samples_us), deterministic, raced_out, readings, uses)


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain JSON values."""
    return {
        "ranked_us": verdict.ranked_us,
        "confidence": verdict.confidence,
        "rounds": verdict.rounds,
        "tied_with": list(verdict.tied_with),
    }


def verdict_from_json(data: Mapping[str, Any]) -> Verdict:
    """The verdict `verdict_to_json` wrote; keys of a newer kerntune are passed over. Raises: KeyError, ValueError."""
    return Verdict(
        ranked_us=float(data["ranked_us"]),
        confidence=float(data["confidence"]),
        rounds=int(data["rounds"]),
        tied_with=tuple(map(str, data["tied_with"])),
    )


def speedup_to_json(baseline: Baseline) -> dict[str, Any] | None:
    """What is known of a baseline beside its samples: the speedup over it, paired by round, and its other ways.

    None where nothing is; what is not known of fault and others is not said.
    """
    if baseline.speedup is None and baseline.fault is None and not baseline.others:
        return None
    interval = baseline.speedup_interval
    said: dict[str, Any] = {"speedup": baseline.speedup, "interval": None if interval is None else list(interval)}
    if baseline.fault is not None:
        said["fault"] = baseline.fault
    if baseline.others:
        said["others"] = [
            {"name": other.name, "samples_us": list(other.samples_us), "details": speedup_to_json(other)}
            for other in baseline.others
        ]
    return said


def baseline_from_json(name: str, samples_us: Sequence[float], speedup: Mapping[str, Any] | None) -> Baseline:
    """The baseline of these samples. Raises: KeyError, ValueError for a speedup `speedup_to_json` did not write."""
    if speedup is None:
        return Baseline(name, tuple(samples_us))
    interval, ratio, fault = speedup["interval"], speedup["speedup"], speedup.get("fault")
    if interval is not None:
        low, high = map(float, interval)
        interval = (low, high)
    others = tuple(
        baseline_from_json(str(other["name"]), other["samples_us"], other["details"])
        for other in speedup.get("others", ())
    )
    words = (None if ratio is None else float(ratio), interval, None if fault is None else str(fault), others)
    return Baseline(name, tuple(samples_us), *words)


def problem_from_json(data: Mapping[str, Any]) -> Problem:
    """A problem as stored: fields only, without facts (`Op.problem` gives those)."""
    return Problem(str(data["op"]), tuple((name, value) for name, value in data.items() if name != "op"))


def config_from_json(data: Mapping[str, Any]) -> Config:
    """A config of plain values. Raises: UsageError for anything nested."""
    for name, value in data.items():
        if not isinstance(value, int | float | str | bool):
            raise UsageError(f"config value {name}={value!r} is not plain.")
    return Config(data)


def stamp_to_text(stamp: datetime) -> str:
    """A UTC stamp as `2026-11-22T15:33:00.123456+00:00`."""
    return stamp.astimezone(UTC).isoformat(timespec="microseconds")


def stamp_from_text(text: str) -> datetime:
    """The stamp `stamp_to_text` wrote, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)
