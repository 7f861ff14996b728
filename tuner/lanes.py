"""Lanes: the templates that compete in a study, and whose turn it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..spaces.config import Config
from ..spaces.feasible import FeasibleSpace
from ..templates.template import KernelTemplate
from .samplers.sampler import Sampler
from .transfer import NOTHING, Start

SEEDS_BESIDE_NEAR = 3
"""Of a template's seeds, where something near is known. An H200 would do with none (.972 of the best after five trials,
.968 with three, .914 with five; seven shapes), a processor with all (.977, .983, .988; eleven shapes; 2026-11-23)."""


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


def picks(lanes: Sequence[Lane]) -> Iterator[Pick]:
    """What to try, one at a time: every lane's seeds, then the samplers in turn until all are exhausted."""
    for lane in lanes:
        for config in lane.first:
            row = lane.feasible.index(config)
            if lane.sampler.claim(row):
                yield Pick(lane, row)
    waiting = list(lanes)
    while waiting:
        for lane in tuple(waiting):
            chosen = lane.sampler.ask()
            if chosen is None:
                waiting.remove(lane)
            else:
                yield Pick(lane, chosen)
