"""One job, from its words to its outcome: the study that `tune` would run, told to a server while it goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ...cache.jobs import Outcome
from ...cache.records import Failure, Record
from ...cache.rules import at_the_door
from ...cache.studies import Studies
from ...cache.wire_records import record_digest
from ...spaces.errors import DeviceError, NoFeasibleConfig, UsageError
from ...spaces.problems import Problem
from .. import tuning
from ..hosts import Host
from ..trials import Trial
from .event_stream import EventStream
from .job_store import JobStore
from .lease import Lease
from .news import News, NewsKind, Tell
from .pauses import StopSign

PROGRESS_S = 10.0

MOST_REASON_CHARS = 300
"""Of a failure, in an event: its record has all of it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a job here."""

    outcome: Outcome
    error: str | None = None
    result: Mapping[str, Any] | None = None
    winner: str | None = None  # digest of the record the result is of


class Halted(Exception):
    """The study is not to go on: the worker was asked to end, or the job is not ours any more."""


@dataclass
class JobRun:
    """The study of one job."""

    job: int
    host: Host
    store: JobStore
    studies: Studies
    lease: Lease
    stream: EventStream
    stop: StopSign
    tell: Tell
    _trials: int = 0
    _best: Record | None = None
    _said_s: float = field(default_factory=time.monotonic)

    def run(self, request: tuning.Request) -> Ended:
        """Answer the request as `tune` does. Raises: DeviceError, StoreError: this machine's faults, not the job's."""
        try:
            report = tuning.run(request, tuning.Watch(trial=self._tried), self.host, self.store, self.studies)
        except Halted as halted:
            return Ended("retry", str(halted))
        except (NoFeasibleConfig, UsageError) as error:
            self._refuse_interrupts()
            return Ended("failed", str(error))
        self._refuse_interrupts()
        if report.record != self._best:
            self._tell_best(report.record)
        return Ended("done", None, result_of(report), record_digest(at_the_door(report.record)))

    def _refuse_interrupts(self) -> None:
        """A study makes an end of its own of a second Ctrl-C; a job does not end by one."""
        if self.stop.at_once:
            raise KeyboardInterrupt

    def _tried(self, trial: Trial) -> None:
        self._trials += 1
        self.stream.happened("trial", {"trial": self._trials, **_told(trial.record)})
        if trial.best is not None and trial.best != self._best:
            self._tell_best(trial.best)
        elif time.monotonic() - self._said_s >= PROGRESS_S:
            us = None if self._best is None else self._best.ranked_us
            self._say("progress", {"trial": self._trials, "median_us": us})
        if self.lease.over is not None:
            raise Halted(self.lease.over)
        if self.stop.is_up:
            raise Halted("the worker was stopped")

    def _tell_best(self, best: Record) -> None:
        self._best = best
        told = {"trial": self._trials, **_told(best)}
        self.stream.happened("best", told)
        self._say("best", told)

    def _say(self, kind: NewsKind, data: Mapping[str, Any]) -> None:
        self._said_s = time.monotonic()
        self.tell(News(kind, self.job, data))


def what_memory_lacks(problem: Problem, host: Host) -> str | None:
    """Why a problem is too large for this machine now, if it is."""
    try:
        tuning.check_memory(problem, host)
    except DeviceError as error:
        return str(error)
    return None


def result_of(report: tuning.Report) -> dict[str, Any]:
    """What a job's result says: times in µs; the answer itself is looked up."""
    answer = report.answer
    baseline = None if answer.baseline_name is None else {"name": answer.baseline_name, "median_us": answer.baseline_us}
    return {
        "digest": answer.digest,
        "template": answer.template,
        "config": dict(answer.config),
        "median_us": answer.median_us,
        "spread_us": answer.spread_us,
        "baseline": baseline,
        "speedup": answer.speedup,
        "trials": asdict(report.counts),
        "cached": report.cached,
        "stopped": report.stopped,
        "seconds": round(report.seconds, 3),
    }


def _told(record: Record) -> dict[str, Any]:
    measured, outcome = record.measurement, record.outcome
    failed = outcome if isinstance(outcome, Failure) else None
    return {
        "template": record.template,
        "config": dict(record.config),
        "digest": record.config.digest,
        "phase": record.phase,
        "median_us": None if measured is None else measured.median_us,
        "failure": None if failed is None else {"kind": failed.kind, "reason": failed.reason[:MOST_REASON_CHARS]},
    }
