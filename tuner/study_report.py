"""StudyReport: what a study tried, what came of it, and what decided, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..cache.records import Record, RecordKey
from ..spaces.config import Config
from ..spaces.expressions import Value
from .trials import Counts


@dataclass(frozen=True, slots=True)
class Trial:
    """One result of the search, in order of time."""

    number: int  # from 1
    seconds: float  # since the first result, without the pauses
    template: str
    template_digest: str
    config: Config
    us: float | None  # None where it failed
    failure: str | None  # its kind
    raced_out: bool
    is_best: bool  # faster than all before


@dataclass(frozen=True, slots=True)
class FailureKind:
    """Configs that failed in one way."""

    kind: str
    count: int
    reasons: tuple[tuple[str, int], ...]  # first line of one, and how many are the same but for their numbers


@dataclass(frozen=True, slots=True)
class ValueTried:
    """One value of a parameter; None: the parameter is absent."""

    value: Value | None
    tried: int
    failed: int
    best_us: float | None  # of the search; None where nothing with it was measured to the end


@dataclass(frozen=True, slots=True)
class ParameterReport:
    """What a parameter did."""

    name: str
    effect: float | None  # share by which it moves the time, on the mean; None where that is not known
    values: tuple[ValueTried, ...]  # the fastest first


@dataclass(frozen=True, slots=True)
class TemplateReport:
    """The part of a study that one template had."""

    template: str
    digest: str
    is_current: bool  # not edited since
    feasible: int | None  # configs of its space; None where the template was edited
    counts: Counts
    raced_out: int
    best_us: float | None
    failures: tuple[FailureKind, ...]  # the commonest first
    parameters: tuple[ParameterReport, ...]  # the most important first
    explained: float | None  # part of the times' variance that the parameters explain; None where effects are


@dataclass(frozen=True, slots=True)
class Place:
    """One of the best configs."""

    record: Record
    us: float
    differs: Mapping[str, Value | None]  # its values where the winner has others; None: absent here


@dataclass(frozen=True, slots=True)
class StudyReport:
    """A study of one key."""

    key: RecordKey
    trials: tuple[Trial, ...]
    sessions: int
    counts: Counts
    templates: tuple[TemplateReport, ...]  # the winner's first, then by their best
    top: tuple[Place, ...]  # the winner first; a playoff's before the search's
    doubtful: int  # measurements that something spoiled, of all
    warnings: tuple[str, ...]  # what spoiled the winner's
    recorded_by: tuple[str, ...]

    @property
    def winner(self) -> Record | None:
        return self.top[0].record if self.top else None

    @property
    def curve(self) -> tuple[Trial, ...]:
        """The trials that were faster than all before."""
        return tuple(trial for trial in self.trials if trial.is_best)

    @property
    def seconds(self) -> float:
        """Of the search, from its first result to its last, without the pauses."""
        return self.trials[-1].seconds if self.trials else 0.0
