"""Replaying: a sampler searches a recorded space, and what it found is held against the best there is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..spaces.config import Config
from ..spaces.errors import UsageError
from .backends.recorded import Recorded
from .budget import Budget
from .cost_models.known import KnownRows
from .samplers import learns, make_sampler

CHECKPOINTS = (25, 50, 100, 200)
"""Trials at which published comparisons stand."""

PARTS_OF_TIME = (1 / 8, 1 / 4, 1 / 2, 1)

REPEATS = 1_000
"""So many rows in a row that were proposed before end a search: the sampler has nothing new to say."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One config tried, the first time that it was asked for."""

    seed: int
    trial: int  # from 1
    config: Config


@dataclass(frozen=True, slots=True)
class Run:
    """One seed's search."""

    seed: int
    times_us: tuple[float | None, ...]  # by trial; None for a failure, which is charged like any other
    ends_s: tuple[float, ...]  # recorded seconds spent when each trial is done; empty where no cost is recorded
    sampler_s: float  # the sampler's own time


@dataclass(frozen=True, slots=True)
class Point:
    """Optimum ÷ best so far, over the seeds; 0 where nothing ran yet."""

    mean: float
    median: float
    p10: float  # one seed in ten did worse


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a sampler on a recorded space."""

    sampler: str
    recorded: Recorded
    budget: Budget
    runs: tuple[Run, ...]
    known: tuple[str, ...]  # sources that it started from
    interrupted: bool

    def by_trials(self) -> dict[int, Point]:
        """The curve at the checkpoints within the budget, and at its end."""
        places = sorted({*(at for at in CHECKPOINTS if at < self.budget.trials), self.budget.trials})
        return {at: _point(_share(self.recorded, run, at) for run in self.runs) for at in places}

    def by_seconds(self) -> dict[float, Point]:
        """The curve over recorded seconds, up to the budget's or those that every seed spent; empty without costs."""
        end = self.budget.time_s
        if not math.isfinite(end):
            end = min(run.ends_s[-1] if run.ends_s else 0.0 for run in self.runs)
        if self.recorded.costs_s is None or end == 0:
            return {}
        return {
            at: _point(_share(self.recorded, run, int(np.searchsorted(run.ends_s, at, "right"))) for run in self.runs)
            for at in (float(f"{part * end:.3g}") for part in PARTS_OF_TIME)
        }

    @property
    def mean_trials(self) -> float:
        """Configs a seed tried; below the budget where time or the space ended first."""
        return sum(len(run.times_us) for run in self.runs) / len(self.runs)

    @property
    def sampler_ms_per_trial(self) -> float:
        return 1e3 * sum(run.sampler_s for run in self.runs) / max(1, sum(len(run.times_us) for run in self.runs))


def replay(
    recorded: Recorded,
    sampler: str,
    budget: Budget,
    seeds: int,
    clock: Callable[[], float],
    known: Sequence[Recorded] = (),
    watch: Callable[[Evaluation], None] = lambda evaluation: None,
) -> Report:
    """Search with seeds 0 … seeds-1; an interrupt leaves those that were done by then.

    Raises: UsageError, UnknownName.
    """
    if seeds < 1:
        raise UsageError(f"{seeds} seeds show nothing: at least 1 is needed (--seeds).")
    if math.isfinite(budget.time_s) and recorded.costs_s is None:
        raise UsageError(f"{recorded.name} has no recorded costs, so its seconds cannot be replayed: leave out --time.")
    if recorded.name in {other.name for other in known}:
        raise UsageError(f"--knowing {recorded.name}: that is the space being searched, and it holds the answer.")
    others = [known_rows(other) for other in known] if learns(sampler) else []
    runs: list[Run] = []
    interrupted = False
    try:
        for seed in range(seeds):
            runs.append(_run(recorded, sampler, others, budget, seed, clock, watch))
    except KeyboardInterrupt:
        if not runs:
            raise
        interrupted = True
    return Report(sampler, recorded, budget, tuple(runs), tuple(other.source for other in others), interrupted)


def known_rows(recorded: Recorded) -> KnownRows:
    """All that is recorded, as a sampler is told it."""
    return KnownRows(recorded.name, recorded.feasible, np.arange(recorded.feasible.total), recorded.times_us)


def _run(
    recorded: Recorded,
    name: str,
    known: Sequence[KnownRows],
    budget: Budget,
    seed: int,
    clock: Callable[[], float],
    watch: Callable[[Evaluation], None],
) -> Run:
    started_s = clock()
    sampler = make_sampler(name, recorded.feasible, seed, known)
    sampler_s = clock() - started_s
    times: dict[int, float | None] = {}
    ends_s: list[float] = []
    spent_s, repeats = 0.0, 0
    while len(times) < budget.trials and repeats < REPEATS:
        started_s = clock()
        row = sampler.ask()
        sampler_s += clock() - started_s
        if row is None:
            break
        _check(row, recorded, name)
        if row in times:
            repeats += 1
        else:
            repeats = 0
            spent_s += 0.0 if recorded.costs_s is None else float(recorded.costs_s[row])
            if spent_s > budget.time_s:
                break
            times[row] = recorded.time_us(row)
            ends_s.append(spent_s)
            watch(Evaluation(seed, len(times), recorded.feasible[row]))
        started_s = clock()
        sampler.tell(row, times[row])
        sampler_s += clock() - started_s
    return Run(seed, tuple(times.values()), tuple(ends_s) if recorded.costs_s is not None else (), sampler_s)


def _check(row: int, recorded: Recorded, name: str) -> None:
    if not 0 <= row < recorded.feasible.total:
        raise UsageError(f'sampler "{name}" proposed row {row} of a space with {recorded.feasible.total:,}: mend it.')


def _share(recorded: Recorded, run: Run, trials: int) -> float:
    """Optimum ÷ best of the first trials."""
    best_us = min((time for time in run.times_us[:trials] if time is not None), default=math.inf)
    return recorded.optimum_us / best_us


def _point(shares: Iterable[float]) -> Point:
    values = np.array(list(shares))
    return Point(float(values.mean()), float(np.median(values)), float(np.percentile(values, 10)))
