"""Tasks: the problems of a workload, how far each is, and what that comes to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..cache.records import Answer, Record, RecordKey
from ..spaces.problems import Problem
from . import lookup
from .hosts import Host
from .study import Study
from .trials import Counts

State = Literal["waiting", "searching", "converged", "cut", "known", "failed"]
"""known: answered from the store; cut: settled before it converged, as time was short; waiting: never begun."""


@dataclass
class Task:
    """One problem of a running workload."""

    key: RecordKey
    weight: float
    state: State = "waiting"
    reason: str = ""  # why it failed
    study: Study | None = None
    best: Record | None = None
    recalled: Sequence[Record] = ()  # what the store had, in order
    trials: int = 0  # made by this run
    slices_s: list[tuple[float, float]] = field(default_factory=list)  # since the start of the run: begin, end
    opening_s: float = 0.0  # of the slices: until the device was open
    playoffs_s: list[tuple[float, float]] = field(default_factory=list)

    @property
    def problem(self) -> Problem:
        return self.key.problem

    @property
    def is_open(self) -> bool:
        return self.state in ("waiting", "searching", "cut")

    @property
    def search_s(self) -> float:
        return sum(end - begin for begin, end in self.slices_s)

    @property
    def playoff_s(self) -> float:
        return sum(end - begin for begin, end in self.playoffs_s)

    @property
    def records(self) -> Sequence[Record]:
        """Of the search and of the playoff."""
        return self.recalled if self.study is None else [*self.study.records, *self.study.played]

    @property
    def best_us(self) -> float | None:
        return us_of(self.best)

    @property
    def first_us(self) -> float | None:
        """Time of the first config that ran: the default, unless one was known before. The playoff's where it met."""
        ran = [record for record in self.records if record.measurement is not None]
        first = next((record for record in ran if record.phase == "search"), None)
        if first is None:
            return None
        same = [r for r in ran if (r.template_digest, r.config) == (first.template_digest, first.config)]
        return us_of(next((record for record in reversed(same) if record.phase == "playoff"), first))

    @property
    def answer(self) -> Answer | None:
        if self.best is None or self.best.measurement is None:
            return None
        return lookup.answer_from(self.best, self.best.measurement)

    @property
    def is_settled(self) -> bool:
        return self.best is not None and self.best.phase == "playoff"

    @property
    def counts(self) -> Counts:
        return Counts.of([record for record in self.records if record.phase == "search"])


@dataclass(frozen=True, slots=True)
class Moment:
    """A problem's best changed."""

    at_s: float
    place: int  # of its task
    best_us: float


@dataclass(frozen=True, slots=True)
class WorkloadReport:
    """What came of a workload."""

    tasks: Sequence[Task]  # in the order of the file
    moments: Sequence[Moment]
    host: Host
    time_s: float
    seconds: float
    interrupted: bool

    @property
    def before_us(self) -> float | None:
        """Total weighted time with the first configs, of the problems that ran."""
        return total_us((task.weight, task.first_us) for task in self.tasks)

    @property
    def after_us(self) -> float | None:
        """The same with the best ones."""
        return total_us((task.weight, task.best_us) for task in self.tasks if task.first_us is not None)


def us_of(record: Record | None) -> float | None:
    """Its time, if it has one."""
    return None if record is None or record.measurement is None else record.measurement.median_us


def total_us(times: Iterable[tuple[float, float | None]]) -> float | None:
    """Weighted times added; None where none is known."""
    known = [weight * us for weight, us in times if us is not None]
    return sum(known) if known else None


def curve(tasks: Sequence[Task], moments: Sequence[Moment], end_s: float) -> list[tuple[float, float]]:
    """Seconds and total weighted time in µs, whenever it changed.

    A problem counts with its first time until it has a better one; one where nothing ran is left out. The end is what
    the playoffs say.
    """
    best = {place: task.first_us for place, task in enumerate(tasks)}
    points: list[tuple[float, float]] = []

    def add(at_s: float) -> None:
        total = total_us((tasks[place].weight, us) for place, us in best.items())
        if total is not None:
            points.append((at_s, total))

    add(0.0)
    for moment in moments:
        now_us = best[moment.place]
        best[moment.place] = moment.best_us if now_us is None else min(now_us, moment.best_us)
        add(moment.at_s)
    best = {place: task.best_us for place, task in enumerate(tasks)}
    add(end_s)
    return points
