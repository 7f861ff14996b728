"""A study's report as one JSON object; times in µs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ...cache.records import Record
from ..study_report import Place, StudyReport, TemplateReport
from .result import ways_of


def as_json(report: StudyReport) -> dict[str, Any]:
    """What the study is of, its winner and what decided, its course, and each template's part."""
    key = report.key
    return {
        "problem": key.problem.as_dict(),
        "target": key.target.as_dict(),
        "policy": key.policy.as_dict(),
        "key": key.digest,
        "winner": report.winner and _winner(report.winner, report),
        "trials": asdict(report.counts),
        "raced_out": sum(template.raced_out for template in report.templates),
        "feasible": _total(report),
        "seconds": round(report.seconds, 3),
        "sessions": report.sessions,
        "doubtful": report.doubtful,
        "recorded_by": list(report.recorded_by),
        "curve": [
            {"trial": t.number, "seconds": round(t.seconds, 3), "us": t.us, "template": t.template}
            for t in report.curve
        ],
        "templates": [_template(template) for template in report.templates],
        "top": [_place(place) for place in report.top],
    }


def _total(report: StudyReport) -> int | None:
    """Feasible configs of all templates; None where one of them was edited since."""
    counts = [template.feasible for template in report.templates]
    return None if None in counts else sum(count for count in counts if count is not None)


def _winner(record: Record, report: StudyReport) -> dict[str, Any]:
    measurement, verdict, baseline = record.measurement, record.verdict, record.baseline
    assert measurement is not None, "what stands as the best was measured"
    return {
        "template": record.template,
        "config": dict(record.config),
        "digest": record.config.digest,
        "median_us": measurement.median_us,
        "spread_us": measurement.spread_us,
        "samples": len(measurement.samples_us),
        "phase": record.phase,
        "playoff": verdict
        and {"confidence": verdict.confidence, "rounds": verdict.rounds, "tied_with": list(verdict.tied_with)},
        "baseline": baseline
        and {
            "name": baseline.name,
            "median_us": baseline.median_us,
            "speedup": baseline.speedup,
            "speedup_interval": baseline.speedup_interval and list(baseline.speedup_interval),
        },
        "vendors": ways_of(baseline),
        "uses": measurement.uses and dict(measurement.uses),
        "warnings": list(report.warnings),
    }


def _template(report: TemplateReport) -> dict[str, Any]:
    return {
        "template": report.template,
        "digest": report.digest,
        "is_current": report.is_current,
        "feasible": report.feasible,
        "trials": asdict(report.counts),
        "raced_out": report.raced_out,
        "best_us": report.best_us,
        "failures": [
            {
                "kind": failure.kind,
                "count": failure.count,
                "reasons": [{"reason": reason, "count": count} for reason, count in failure.reasons],
            }
            for failure in report.failures
        ],
        "explained": report.explained,
        "parameters": [asdict(parameter) for parameter in report.parameters],
    }


def _place(place: Place) -> dict[str, Any]:
    record = place.record
    return {
        "digest": record.config.digest,
        "template": record.template,
        "phase": record.phase,
        "us": place.us,
        "differs": dict(place.differs),
    }
