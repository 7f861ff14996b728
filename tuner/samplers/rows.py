"""Rows: the feasible configs as points that Optuna's samplers can propose, what was seen, and what came of it."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from ...spaces.feasible import FeasibleSpace
from ...spaces.points import ABSENT

Point = dict[str, Any]  # parameter name -> value index, -1 where it does not apply

LISTED_ROWS = 1_000_000
"""Rows up to which a space is listed and every row's distance looked at; a larger one may not fit memory."""


class Rows:
    """Which rows were seen, and how points and rows correspond."""

    def __init__(self, feasible: FeasibleSpace, seed: int) -> None:
        self.feasible = feasible
        self._rng = np.random.default_rng(seed)
        self._listed = feasible.total <= LISTED_ROWS
        self._unseen = np.ones(feasible.total if self._listed else 0, dtype=bool)
        self._seen: set[int] = set()
        self._closest: dict[tuple[int, ...], NDArray[np.int64]] = {}
        self.results: dict[int, float | None] = {}  # µs of the rows that were told, None where they failed; in order
        self.distributions = self._distributions(feasible)
        if self._listed:
            feasible.matrix()

    @property
    def exhausted(self) -> bool:
        return len(self._seen) == self.feasible.total

    def see(self, row: int) -> bool:
        """Count a row as seen; False if it was before."""
        if row in self._seen:
            return False
        self._seen.add(row)
        if self._listed:
            self._unseen[row] = False
        return True

    def is_seen(self, row: int) -> bool:
        return row in self._seen

    def note(self, row: int, median_us: float | None) -> None:
        """Keep what came of a row; it counts as seen."""
        self.see(row)
        self.results[row] = median_us

    def random(self) -> int:
        """An unseen row, uniformly. Raises: ValueError when none is left."""
        if self._listed:
            return int(self._rng.choice(np.flatnonzero(self._unseen)))
        while (row := self.feasible.draw(self._rng, 1)[0]) in self._seen:
            pass
        return row

    def nearest(self, point: Point) -> int:
        """The unseen row closest to a point; of equally close ones, one by chance."""
        indices = np.array([point[parameter.name] for parameter in self.feasible.parameters])
        if not self._listed:
            return self._walk(point, indices)
        rows = np.flatnonzero(self._unseen)
        distance = self.feasible.distances(indices, rows)
        return int(self._rng.choice(rows[distance <= distance.min() + 1e-12]))

    def closest(self, point: Point) -> int:
        """The row closest to a point, seen or not: its own if it is feasible; of equally close ones, one by chance."""
        asked = tuple(point.values())
        if asked not in self._closest:  # a population that has converged asks for few points, thousands of times
            self._closest[asked] = self._all_closest(point)
        rows = self._closest[asked]
        return int(rows[0] if len(rows) == 1 else self._rng.choice(rows))

    def _all_closest(self, point: Point) -> NDArray[np.int64]:
        """Every row that is as close to a point as any, or one where they cannot be listed."""
        config = self._config(point)
        row = self.feasible.find(config)
        if row is None and self._listed:
            distance = self.feasible.distances(np.array([point[p.name] for p in self.feasible.parameters]))
            return np.flatnonzero(distance <= distance.min() + 1e-12)
        return np.array([self.feasible.index(self.feasible.nearest(config)) if row is None else row])

    def _walk(self, point: Point, indices: Any) -> int:
        """The closest unseen row met on a walk from neighbour to neighbour that starts at the closest row."""
        start = self.feasible.index(self.feasible.nearest(self._config(point)))
        met, frontier = {start}, [(0.0, 0.0, start)]
        while frontier:
            _, _, row = heapq.heappop(frontier)
            if row not in self._seen:
                return row
            new = [other for other in self.feasible.around(row) if other not in met]
            met.update(new)
            for distance, other in zip(self.feasible.distances(indices, new).tolist(), new, strict=True):
                heapq.heappush(frontier, (distance, float(self._rng.random()), other))
        return self.random()  # nothing unseen can be reached in steps

    def point(self, row: int) -> Point:
        return dict(zip(self.distributions, self.feasible.matrix([row])[0].tolist(), strict=True))

    def row(self, point: Point) -> int:
        """The row of a point that came from `point`."""
        return self.feasible.index(self._config(point))

    def _config(self, point: Point) -> dict[str, Any]:
        parameters = self.feasible.parameters
        return {p.name: p.values[point[p.name]] for p in parameters if point[p.name] != ABSENT}

    def _distributions(self, feasible: FeasibleSpace) -> dict[str, BaseDistribution]:
        found: dict[str, BaseDistribution] = {}
        occurring = feasible.occurring()
        for parameter in feasible.parameters:
            present = occurring[parameter.name]
            found[parameter.name] = (
                IntDistribution(min(present), max(present)) if parameter.ordered else CategoricalDistribution(present)
            )
        return found
