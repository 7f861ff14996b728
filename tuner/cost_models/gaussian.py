"""A Gaussian process over a pool of points, grown one observed point at a time, so that a trial costs milliseconds.

Matérn 5/2 with a length scale for each coordinate. Source: Rasmussen and Williams, Gaussian Processes for Machine
Learning, 2006, sections 2.2 (posterior) and 4.2 (kernel).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

Numbers = NDArray[np.float64]
Single = NDArray[np.float32]

JITTER = 1e-6
"""Added to every variance of an observation, so that equal points can be solved for."""


def matern(points: Any, others: Any, scales: Numbers) -> Any:
    """Correlations [points, others], as precise as the points."""
    one, other = points / scales.astype(points.dtype), others / scales.astype(others.dtype)
    squares = (one * one).sum(1)[:, None] + (other * other).sum(1)[None] - 2 * (one @ other.T)
    r = np.sqrt(5 * np.maximum(squares, 0))
    return (1 + r + r * r / 3) * np.exp(-r)


class Surface:
    """What observed points say of every point of a pool."""

    def __init__(self, pool: Numbers, scales: Numbers, noise: float, observed: Numbers) -> None:
        """`pool` and `observed` are [points, coordinates]; `noise` is the variance of an observation, of 1 in all."""
        self._pool, self._scales, self._noise = pool.astype(np.float32), scales, noise + JITTER
        count = len(observed)
        self._observed = observed
        self._gram = matern(observed, observed, scales)
        self._factor = np.linalg.cholesky(self._gram + self._noise * np.eye(count))
        self._count = count
        self._solved_rows = np.empty((2 * count + 16, len(pool)), dtype=np.float32)
        self._solved_rows[:count] = solve_triangular(self._factor, self._near(observed), lower=True)
        self._explained = (self._solved**2).sum(0)

    @property
    def _solved(self) -> Single:
        """Inverse factor times correlations [observed, pool]: the largest thing here, so in single precision."""
        return self._solved_rows[: self._count]

    def add(self, point: Numbers) -> None:
        """Observe one more point, whatever its value will be."""
        row = matern(self._observed, point[None], self._scales)[:, 0]
        solved = solve_triangular(self._factor, row, lower=True)
        root = np.sqrt(max(1 + self._noise - solved @ solved, JITTER))
        explained = solved.astype(np.float32) @ self._solved
        reach = (self._near(point[None])[0] - explained) / np.float32(root)
        count = self._count
        self._factor = np.block([[self._factor, np.zeros((count, 1))], [solved[None], root]])
        self._gram = np.block([[self._gram, row[:, None]], [row[None], np.ones((1, 1))]])
        self._observed = np.concatenate((self._observed, point[None]))
        if count == len(self._solved_rows):
            self._solved_rows = np.concatenate((self._solved_rows, np.empty_like(self._solved_rows)))
        self._solved_rows[count] = reach
        self._count = count + 1
        self._explained = self._explained + reach * reach

    def _near(self, points: Numbers) -> Single:
        """Correlations [points, pool]."""
        near: Single = matern(points.astype(np.float32), self._pool, self._scales)
        return near

    def predict(self, values: Numbers) -> tuple[Numbers, Numbers]:
        """Mean and standard deviation at the pool, from the values of the observed points, NaN where not known yet.

        What is not known yet is taken for what the others predict: it narrows the spread and moves no mean.
        """
        known = ~np.isnan(values)
        middle, width = values[known].mean(), values[known].std() + 1e-9
        scaled = (values - middle) / width
        if not known.all():
            among = self._gram[np.ix_(known, known)] + self._noise * np.eye(int(known.sum()))
            scaled[~known] = self._gram[np.ix_(~known, known)] @ np.linalg.solve(among, scaled[known])
        weights = solve_triangular(self._factor, scaled, lower=True)
        variance = max(float(weights @ weights) / len(weights), 0.05)  # as likely as any, where scales are given
        mean = weights.astype(np.float32) @ self._solved
        spread = np.sqrt(variance * np.maximum(1 - self._explained, JITTER))
        return mean * width + middle, spread * width
