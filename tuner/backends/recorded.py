"""Recorded: a space in which everything was tried before, so that it answers instead of a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...cache.records import Failure
from ...spaces.errors import NoFeasibleConfig, UsageError
from ...spaces.expressions import Value
from ...spaces.feasible import FeasibleSpace
from ...spaces.parameters import choice
from ...spaces.points import ABSENT
from ...spaces.space import Space
from .listed import ListedSpace

UNRECORDED = Failure("runtime", "it is in the space and was not recorded: it failed there")

Floats = NDArray[np.float64]
Indices = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Tried:
    """One config as a file or a store tells of it."""

    config: Mapping[str, Value]
    time_us: float | None  # None where it did not run
    failure: Failure | None = None
    cost_s: float | None = None  # compile + check + benchmark, where it is known


@dataclass(frozen=True, eq=False)
class Recorded:
    """What came of every config of a space, by position."""

    name: str
    feasible: FeasibleSpace
    times_us: Floats  # NaN where it failed
    failures: Mapping[int, Failure]  # of the positions that failed
    costs_s: Floats | None  # seconds that trying it took; None where nothing is known of that
    notes: tuple[str, ...] = ()  # what was passed over, and what was assumed

    def __post_init__(self) -> None:
        if not np.isfinite(self.times_us).any():
            raise NoFeasibleConfig(f"{self.name}: none of its {len(self.times_us):,} configs ran: nothing to search.")

    @cached_property
    def optimum_us(self) -> float:
        return float(np.nanmin(self.times_us))

    def time_us(self, row: int) -> float | None:
        """Time of the config at a position; None where it failed."""
        time_us = float(self.times_us[row])
        return None if np.isnan(time_us) else time_us


def from_tried(name: str, tried: Sequence[Tried], notes: Sequence[str] = ()) -> Recorded:
    """A space of exactly the configs that were tried; of several entries of one, the last counts.

    Raises: UsageError where there is none, NoFeasibleConfig where none ran.
    """
    if not tried:
        raise UsageError(f"{name}: it holds no result.")
    space, indices = _space_of(name, [one.config for one in tried])
    feasible = ListedSpace(space, indices)
    costs = [np.nan if one.cost_s is None else one.cost_s for one in tried]
    times = np.array([np.nan if one.time_us is None else one.time_us for one in tried])
    why = {place: one.failure or UNRECORDED for place, one in enumerate(tried) if one.time_us is None}
    return from_rows(name, feasible, indices, times, why, np.array(costs), notes)


def from_rows(
    name: str,
    feasible: FeasibleSpace,
    indices: Indices,
    times_us: Floats,
    failures: Mapping[int, Failure],
    costs_s: Floats,
    notes: Sequence[str] = (),
) -> Recorded:
    """Recorded rows put at their positions; a position without a row failed. Of several rows of one, the last counts.

    `indices` are value indices [rows, parameters]; times are NaN where a row failed, costs where they are not known.
    Raises: NoFeasibleConfig where none ran.
    """
    positions = positions_of(feasible, indices)
    inside = np.flatnonzero(positions >= 0)
    times, costs = np.full(feasible.total, np.nan), np.full(feasible.total, np.nan)
    times[positions[inside]] = times_us[inside]
    costs[positions[inside]] = costs_s[inside]
    why = {int(positions[row]): failures.get(row, UNRECORDED) for row in inside if np.isnan(times_us[row])}
    unrecorded = np.setdiff1d(np.arange(feasible.total), positions[inside])
    why.update(dict.fromkeys(unrecorded.tolist(), UNRECORDED))
    said = list(notes)
    if len(unrecorded):
        said.append(f"{len(unrecorded):,} configs of the space have no record: they failed")
    if outside := len(positions) - len(inside):
        said.append(f"{outside:,} recorded configs are outside the space's constraints and were passed over")
    known = np.isfinite(costs)
    if known.any() and not known.all():
        costs[~known] = np.median(costs[known])
        said.append(f"{int((~known).sum()):,} configs have no recorded cost: the median of the others is charged")
    ran = {row: failure for row, failure in why.items() if np.isnan(times[row])}
    return Recorded(name, feasible, times, ran, costs if known.any() else None, tuple(said))


def positions_of(feasible: FeasibleSpace, indices: Indices) -> NDArray[np.int64]:
    """Positions of rows of value indices [rows, parameters], -1 for what is not feasible."""
    listed = np.ascontiguousarray(feasible.matrix(), dtype=np.int32)
    places = {row.tobytes(): place for place, row in enumerate(listed)}
    return np.array([places.get(row.tobytes(), -1) for row in np.ascontiguousarray(indices, np.int32)], dtype=np.int64)


def _space_of(name: str, configs: Sequence[Mapping[str, Value]]) -> tuple[Space, Indices]:
    """Parameters with the values that occur, numbers ascending, and the configs as value indices."""
    space = Space(name)
    names = list(dict.fromkeys(parameter for config in configs for parameter in config))
    if not names:
        raise UsageError(f"{name}: its configs have no parameters.")
    columns: list[Any] = []
    for parameter in names:
        there = [config.get(parameter) for config in configs]
        values = list(dict.fromkeys(value for value in there if value is not None))
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            values.sort(key=float)
        symbol = space.add(choice(parameter, *values))
        if len(values) and None in there:
            space.when(True, symbol)  # absent in some configs: which, the rows say
        places = {value: place for place, value in enumerate(values)}
        columns.append([ABSENT if value is None else places[value] for value in there])
    return space, np.array(columns, dtype=np.int32).T
