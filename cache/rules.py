"""Two rules that every store keeps: what a record looks like once it is past the door, and which one is the best."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC
from typing import Any

from .records import Baseline, Failure, Measurement, Record

# Terminal escapes whole, then control characters but tab and newline, lone surrogates (no database takes them), and
# the marks that reverse the direction of text (they make a terminal show what is not there).
_UNWANTED = re.compile("\x1b\\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def clean_text(text: str) -> str:
    """The text without control characters; lines and tabs stay."""
    return _UNWANTED.sub("", text)


def clean_name(text: str) -> str:
    """The text without control characters, on one line."""
    return " ".join(clean_text(text).split())


def at_the_door(record: Record) -> Record:
    """The record as it is kept: foreign words cleaned, its stamp in UTC."""
    outcome, baseline = record.outcome, record.baseline
    return replace(
        record,
        outcome=_clean_outcome(outcome),
        baseline=_clean_baseline(baseline) if baseline else None,
        recorded_at=record.recorded_at.astimezone(UTC),
        recorded_by=clean_name(record.recorded_by),
    )


def _clean_baseline(baseline: Baseline) -> Baseline:
    fault = None if baseline.fault is None else clean_text(baseline.fault)
    others = tuple(_clean_baseline(other) for other in baseline.others)
    return replace(baseline, name=clean_name(baseline.name), fault=fault, others=others)


def _clean_outcome(outcome: Measurement | Failure) -> Measurement | Failure:
    if isinstance(outcome, Failure):
        return Failure(outcome.kind, clean_text(outcome.reason))
    return replace(outcome, readings=clean_value(outcome.readings), uses=clean_value(outcome.uses))


def clean_value(value: Any) -> Any:
    """A plain value as JSON keeps it: words cleaned, tuples as lists, nothing for a number that is none."""
    if isinstance(value, str):
        return clean_name(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {clean_name(str(name)): clean_value(entry) for name, entry in value.items()}
    return [clean_value(entry) for entry in value] if isinstance(value, list | tuple) else value


def winner(history: Iterable[Record]) -> Record | None:
    """The best record of one key, from its records in order of arrival; None where nothing stands."""
    return next(iter(standing(history)), None)


def standing(history: Iterable[Record]) -> list[Record]:
    """The records of one key that may be its best, the best first.

    Of each config (of one template) only what was recorded last counts: a config whose last record is a failure is
    out, whatever it did before, and so is a time of a config that was raced out. A playoff beats any search, and within
    it each config's last time counts. The lowest time wins (`Record.ranked_us`: the median, unless a playoff decided a
    tie); of equal ones the smallest config digest.
    """
    last: dict[tuple[str, str], Record] = {}
    last_of_phase: dict[tuple[str, str, str], Record] = {}
    for record in sorted(history, key=lambda record: record.recorded_at):
        config = (record.template_digest, record.config.digest)
        last[config] = last_of_phase[(*config, record.phase)] = record
    found = [
        (phase != "playoff", record.ranked_us, record.config.digest, template_digest, record)
        for (template_digest, config_digest, phase), record in last_of_phase.items()
        if record.ranked_us is not None and last[template_digest, config_digest].measurement
    ]
    return [record for *_, record in sorted(found, key=lambda entry: entry[:4])]
