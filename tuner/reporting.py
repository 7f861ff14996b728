"""Reporting: what a study tried, what came of it, and what decided. Pure: records in, a StudyReport out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from ..cache.records import Failure, Record, RecordKey
from ..cache.rules import standing
from ..spaces.expressions import Value
from ..templates.catalogue import op_named, templates
from .cost_models.effects import effects
from .measure.readings import warnings
from .study_report import FailureKind, ParameterReport, Place, StudyReport, TemplateReport, Trial, ValueTried
from .trials import Counts

PAUSE_S = 600.0
"""A longer silence between two results is none of the search: it was ended and taken up again."""

REASONS = 3
"""Of each kind of failure, the commonest."""

TOP = 10

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def report_of(key: RecordKey, records: Sequence[Record]) -> StudyReport:
    """All that the records of one key say; there must be one at least."""
    key = replace(key, problem=op_named(key.problem.op).with_facts(key.problem, key.target.kind))
    history = sorted(records, key=lambda record: record.recorded_at)
    searched = [record for record in history if record.phase == "search"]
    seconds = _seconds(searched)
    return StudyReport(
        key=key,
        trials=_trials(searched, seconds),
        sessions=1 + sum(gap > PAUSE_S for gap in _gaps(searched)),
        counts=Counts.of(history),
        templates=_templates(key, history),
        top=_top(history),
        doubtful=sum(bool(warnings(record.measurement.readings)) for record in history if record.measurement),
        warnings=_doubts(history),
        recorded_by=tuple(sorted({record.recorded_by for record in history})),
    )


def _trials(searched: Sequence[Record], seconds: Sequence[float]) -> tuple[Trial, ...]:
    found: list[Trial] = []
    best_us = float("inf")
    for number, (record, passed_s) in enumerate(zip(searched, seconds, strict=True), 1):
        measurement, ranked_us = record.measurement, record.ranked_us
        is_best = ranked_us is not None and ranked_us < best_us
        if is_best and ranked_us is not None:
            best_us = ranked_us
        found.append(
            Trial(
                number,
                passed_s,
                record.template,
                record.template_digest,
                record.config,
                None if measurement is None else measurement.median_us,
                record.outcome.kind if isinstance(record.outcome, Failure) else None,
                measurement is not None and measurement.raced_out,
                is_best,
            )
        )
    return tuple(found)


def _gaps(searched: Sequence[Record]) -> list[float]:
    return [(after.recorded_at - before.recorded_at).total_seconds() for before, after in pairwise(searched)]


def _seconds(searched: Sequence[Record]) -> list[float]:
    """When each result came, since the first one, without the pauses."""
    passed = [0.0] if searched else []
    for gap in _gaps(searched):
        passed.append(passed[-1] + (gap if gap <= PAUSE_S else 0.0))
    return passed


def _templates(key: RecordKey, history: Sequence[Record]) -> tuple[TemplateReport, ...]:
    digests = {record.template_digest: record.template for record in history}
    found = [
        _template(key, name, digest, [record for record in history if record.template_digest == digest])
        for digest, name in digests.items()
    ]
    order = list(dict.fromkeys((*(record.template_digest for record in standing(history)), *digests)))
    return tuple(sorted(found, key=lambda report: order.index(report.digest)))


def _template(key: RecordKey, name: str, digest: str, history: Sequence[Record]) -> TemplateReport:
    last = {record.config.digest: record for record in history}
    searched = {record.config.digest: record for record in history if record.phase == "search"}
    ran = [(record.config, m.median_us) for record in searched.values() if (m := record.measurement)]
    found = effects([config for config, _ in ran], [us for _, us in ran])
    feasible = _feasible(key, digest)
    best = standing(history)
    return TemplateReport(
        template=name,
        digest=digest,
        is_current=feasible is not None,
        feasible=feasible,
        counts=Counts.of(history),
        raced_out=sum(m.raced_out for record in last.values() if (m := record.measurement)),
        best_us=best[0].ranked_us if best else None,
        failures=failures_of([r.outcome for r in last.values() if isinstance(r.outcome, Failure)]),
        parameters=_parameters(list(searched.values()), found.by_parameter if found else {}),
        explained=found.explained if found else None,
    )


def _feasible(key: RecordKey, digest: str) -> int | None:
    """Configs of a template's space, if the template is what it was."""
    now = {template.digest: template for template in templates(key.problem.op)}
    template = now.get(digest)
    if template is None or template.supports(key.problem, key.target) is not None:
        return None
    return template.feasible(key.problem, key.target).total


def failures_of(failures: Sequence[Failure]) -> tuple[FailureKind, ...]:
    """Failures by kind, and of each kind the commonest reasons; those that differ in numbers only are one."""
    found = []
    for kind, count in Counter(failure.kind for failure in failures).most_common():
        lines = [next(iter(failure.reason.splitlines()), "") for failure in failures if failure.kind == kind]
        alike = {_NUMBER.sub("#", line): line for line in reversed(lines)}  # the first one stands for all
        commonest = Counter(_NUMBER.sub("#", line) for line in lines).most_common(REASONS)
        found.append(FailureKind(kind, count, tuple((alike[pattern], times) for pattern, times in commonest)))
    return tuple(found)


def _parameters(searched: Sequence[Record], moved: Mapping[str, float]) -> tuple[ParameterReport, ...]:
    names = dict.fromkeys((*moved, *(name for record in searched for name in record.config)))
    return tuple(ParameterReport(name, moved.get(name), _values(name, searched)) for name in names)


def _values(name: str, searched: Sequence[Record]) -> tuple[ValueTried, ...]:
    by_value: dict[str, list[Record]] = {}
    for record in searched:
        by_value.setdefault(repr(record.config.get(name)), []).append(record)
    found = [
        ValueTried(
            of_value[0].config.get(name),
            len(of_value),
            sum(isinstance(record.outcome, Failure) for record in of_value),
            min((us for record in of_value if (us := record.ranked_us) is not None), default=None),
        )
        for of_value in by_value.values()
    ]
    return tuple(sorted(found, key=lambda tried: (tried.best_us is None, tried.best_us, str(tried.value))))


def _top(history: Sequence[Record]) -> tuple[Place, ...]:
    """The best time of each config; those of a playoff first."""
    best: dict[tuple[str, str], Record] = {}
    for record in standing(history):
        best.setdefault((record.template_digest, record.config.digest), record)
    places = list(best.values())[:TOP]
    return tuple(Place(r, us, _differing(r, places[0])) for r in places if (us := r.ranked_us) is not None)


def _differing(record: Record, winner: Record) -> dict[str, Value | None]:
    ours, theirs = record.config, winner.config
    return {name: ours.get(name) for name in {**theirs, **ours} if ours.get(name) != theirs.get(name)}


def _doubts(history: Sequence[Record]) -> tuple[str, ...]:
    winner = next(iter(standing(history)), None)
    measured = winner.measurement if winner else None
    return tuple(warnings(measured.readings)) if measured else ()
