"""Limits: the odds that a config runs, told by boosted trees.

Votes (feasibility.py) know no further than a neighbour. What decides is mostly a limit on few parameters, or on a
product of two: trees find those, and see that the others do not matter. On a valley that falls towards a limit, 75 of
100 proposals failed without them and 40 with them; on recorded spaces they change nothing (docs/measured_facts.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .gaussian import Numbers

BOOSTING = {
    "objective": "binary:logistic",
    "max_depth": 4,
    "eta": 0.3,
    "min_child_weight": 0.3,  # one failure alone may make a leaf
    "nthread": 1,
    "seed": 0,
    "verbosity": 0,
}
ROUNDS = 30

NEW = 3
"""Results after which trees are grown anew."""

MOST_PAIRED = 12
"""Coordinates whose sums by pairs, logarithms of products, are told to the trees too; of more there are too many."""


class Limits:
    """Of a pool of points, by what became of others."""

    def __init__(self, pool: Numbers) -> None:
        self._pool = pool
        self._asked: Any = None  # the pool as XGBoost keeps it, made when something failed
        self._points: list[Numbers] = []
        self._ran: list[bool] = []
        self._grown_at = 0
        self._odds = np.ones(len(pool))

    def add(self, point: Numbers, ran: bool) -> None:
        self._points.append(point)
        self._ran.append(ran)

    def odds(self) -> Numbers:
        """At the pool; 1 as long as nothing failed, or nothing ran."""
        if len(set(self._ran)) == 2 and len(self._ran) >= self._grown_at + NEW:
            self._grow()
        return self._odds

    def _grow(self) -> None:
        import xgboost

        if self._asked is None:
            self._asked = xgboost.DMatrix(_paired(self._pool))
        ran = np.array(self._ran, dtype=float)
        settings = {**BOOSTING, "base_score": float((ran.sum() + 1) / (len(ran) + 2))}
        trees = xgboost.train(settings, xgboost.DMatrix(_paired(np.array(self._points)), ran), ROUNDS)
        self._odds, self._grown_at = trees.predict(self._asked).astype(float), len(ran)


def _paired(points: Numbers) -> Numbers:
    if points.shape[1] > MOST_PAIRED:
        return points
    one, other = np.triu_indices(points.shape[1], 1)
    return np.concatenate((points, points[:, one] + points[:, other]), axis=1)
