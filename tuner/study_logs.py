"""What a search cost, as it is kept: written when the search has ended, however it ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ..cache.studies import Studies, StudyLog
from .study import Study

GAVE_UP = "device"
"""Why a search ended that the device's troubles ended."""


def log_of(study: Study, sampler: str, seconds: float, trials: int, ended_at: datetime | None = None) -> StudyLog:
    """The log of a study that has just ended, after so many seconds and trials of its own."""
    return StudyLog(
        key=study.key,
        started_at=(ended_at or datetime.now(UTC)) - timedelta(seconds=seconds),
        seconds=round(seconds, 3),
        trials=trials,
        sampler=sampler,
        seed=study.seed,
        stopped=study.stopped or GAVE_UP,
        templates=tuple(lane.template.name for lane in study.lanes),
        recorded_by=study.recorded_by,
    )


def keep(studies: Studies | None, log: StudyLog) -> None:
    """Keep it, where somebody does."""
    if studies is not None:
        studies.add_study(log)
