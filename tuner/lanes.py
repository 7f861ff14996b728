"""Lanes: the templates that compete in a study, and whose turn it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..spaces.config import Config
from ..spaces.feasible import FeasibleSpace
from ..templates.template import KernelTemplate
from .samplers.sampler import Sampler
from .transfer import NOTHING, Start

SEEDS_BESIDE_NEAR = 3
"""Of a template's seeds, where something near is known. An H200 would do with none (.972 of the best after five trials,
.968 with three, .914 with five; seven shapes), a processor with all (.977, .983, .988; eleven shapes; 2026-11-23)."""


BEHIND = 0.1
"""So far behind the best, as a share of its time, a template has its turn 1/e times as often."""

LEAST_SHARE = 1 / 16
"""Of the best one's turns, that a template has whatever it showed: its good configs may be rare."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One template of a study: what can be chosen, who chooses, and which guesses come first."""

    template: KernelTemplate
    feasible: FeasibleSpace
    sampler: Sampler
    seeds: tuple[Config, ...]
    incumbent: Config | None = None  # the winner so far, met again first and in the playoff
    start: Start = NOTHING  # what is known of near problems

    @property
    def default(self) -> Config:
        return default_of(self.feasible, self.seeds)

    @property
    def first(self) -> tuple[Config, ...]:
        """What is tried before anything is searched."""
        held = () if self.incumbent is None else (self.incumbent,)
        seeds = self.seeds[:SEEDS_BESIDE_NEAR] if self.start.is_near else self.seeds
        return (*held, self.default, *self.start.winners, *seeds)


@dataclass(frozen=True, slots=True)
class Pick:
    """A config that is to be tried."""

    lane: Lane
    row: int

    @property
    def config(self) -> Config:
        config: Config = self.lane.feasible[self.row]
        return config


def default_of(feasible: FeasibleSpace, seeds: Sequence[Config]) -> Config:
    """What would run without tuning: the best guess, or the first config there is."""
    if seeds:
        return seeds[0]
    first: Config = feasible[0]
    return first


def picks(lanes: Sequence[Lane], best_us: Mapping[str, float]) -> Iterator[Pick]:
    """What to try, one at a time, until every lane is exhausted: a lane's guesses first, then what its sampler asks.

    Lanes take turns; `best_us`, by the digest of a lane's template, is read anew at each: the further a lane is behind
    the best of all, the rarer its turns. One of which nothing is known yet counts as the best. Source of the turns:
    Waldspurger and Weihl, Stride Scheduling, 1995.
    """
    waiting = {lane.template.digest: _queue(lane) for lane in lanes}
    due = dict.fromkeys(waiting, 0.0)
    while waiting:
        name = min(waiting, key=lambda name: due[name])
        pick = next(waiting[name], None)
        if pick is None:
            del waiting[name]
        else:
            due[name] += 1.0 / _share(best_us[name], min(best_us.values()))
            yield pick


def _queue(lane: Lane) -> Iterator[Pick]:
    for config in lane.first:
        row = lane.feasible.index(config)
        if lane.sampler.claim(row):
            yield Pick(lane, row)
    while (chosen := lane.sampler.ask()) is not None:
        yield Pick(lane, chosen)


def _share(lane_us: float, best_us: float) -> float:
    """How often a lane has its turn, where the best has 1."""
    if math.isinf(lane_us):
        return 1.0
    return max(LEAST_SHARE, math.exp(-(lane_us / best_us - 1.0) / BEHIND))
