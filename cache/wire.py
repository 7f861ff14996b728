"""The JSON of records and answers, used by client and server alike. Foreign text is checked here and nowhere later."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from ..spaces.config import Config
from ..spaces.errors import UsageError
from ..spaces.problems import Problem
from ..spaces.targets import Target
from .records import Answer, Match, Policy


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
