"""Rows: the feasible configs as points that Optuna's samplers can propose, and the nearest unseen one to any point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from ...spaces.feasible import FeasibleSpace

Point = dict[str, Any]  # parameter name -> value index, -1 where it does not apply


class Rows:
    """Which rows are still unseen, and how points and rows correspond."""

    def __init__(self, feasible: FeasibleSpace, seed: int) -> None:
        self._feasible = feasible
        self._matrix = feasible.matrix()
        self._names = [parameter.name for parameter in feasible.parameters]
        self._rng = np.random.default_rng(seed)
        self.unseen: NDArray[np.bool_] = np.ones(len(feasible), dtype=bool)
        self.distributions = self._distributions(feasible)

    def random(self) -> int:
        """An unseen row, uniformly. Raises: ValueError when none is left."""
        return int(self._rng.choice(np.flatnonzero(self.unseen)))

    def nearest(self, point: Point) -> int:
        """The unseen row closest to a point; of equally close ones, one by chance."""
        rows = np.flatnonzero(self.unseen)
        distance = self._feasible.distances(np.array([point[name] for name in self._names]), rows)
        closest = rows[distance <= distance.min() + 1e-12]
        return int(self._rng.choice(closest))

    def point(self, row: int) -> Point:
        return dict(zip(self._names, self._matrix[row].tolist(), strict=True))

    def row(self, point: Point) -> int:
        """The row of a point that came from `point`."""
        wanted = np.array([point[name] for name in self._names])
        return int(np.flatnonzero((self._matrix == wanted).all(axis=1))[0])

    def _distributions(self, feasible: FeasibleSpace) -> dict[str, BaseDistribution]:
        found: dict[str, BaseDistribution] = {}
        for position, parameter in enumerate(feasible.parameters):
            present = np.unique(self._matrix[:, position]).tolist()
            found[parameter.name] = (
                IntDistribution(min(present), max(present)) if parameter.ordered else CategoricalDistribution(present)
            )
        return found
