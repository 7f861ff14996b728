"""Ranking: how much faster than the best each config of a pool may turn out, times the odds that it runs at all.

The model is a Gaussian process of log times. Expected improvement: Jones, Schonlau and Welch, Journal of Global
Optimization 13, 1998, equation 15.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from .feasibility import Votes
from .gaussian import Numbers, Surface
from .limits import Limits
from .scales import fitted, usual

REFIT_GROWTH = 1.25
"""Scales are fitted again when so many times as many configs have run."""

MOST_OBSERVED = 400
"""Configs that a model is made of: the fastest half, and others by chance. Its cost grows with their square."""

CLIPPED_ABOVE = 1.0
"""Log times this far above their median count no more: how slow the slow ones are says nothing of the fast ones."""

SLOPE_SPREAD = 0.3
"""How far data may move the slope of times over expected times from 1."""

SLOPE_NOISE = 0.05
"""Variance of log times about that line, as the slope's prior is weighed by."""

Rows = Sequence[int]
Results = Mapping[int, float | None]
"""By row: µs, or None where it failed."""


@dataclass(frozen=True, eq=False)
class Expectation:
    """What is thought of configs before any is tried."""

    log_times: Numbers  # up to a constant
    odds: Numbers  # that it runs


@dataclass(frozen=True, eq=False)
class Pool:
    """The rows that may be proposed, as points, and how any row is placed among them."""

    rows: Rows
    points: Numbers
    expected: Expectation
    points_of: Callable[[Rows], Numbers]
    expected_of: Callable[[Rows], Expectation]


class Ranking:
    """Grows with each result; its scales are fitted anew from time to time."""

    def __init__(self, coordinates: int, seed: int) -> None:
        self._parameters = usual(coordinates)
        self._rng = np.random.default_rng([seed, 2])
        self._pool: Pool | None = None
        self._fitted_at = 0

    def scores(self, pool: Pool, results: Results, pending: Rows) -> tuple[Numbers, Numbers]:
        """At each row of the pool, with the log time that is foreseen there; at least one config has run."""
        ran = [row for row, us in results.items() if us is not None]
        if pool is not self._pool or len(ran) >= REFIT_GROWTH * self._fitted_at:
            self._refit(pool, self._few(ran, results), results)
        self._grow(pool, [row for row in (*results, *pending) if row not in self._met], results)
        times = np.array([_log_us(results, row) for row in self._observed])
        level, slope = _line(times, self._expected)
        rest = times - level - slope * self._expected
        mean, spread = self._surface.predict(_clipped(rest))
        mean = mean + level + slope * pool.expected.log_times
        return improvement(float(np.nanmin(times)), mean, spread) * self._odds(results), mean

    def _few(self, ran: list[int], results: Results) -> list[int]:
        if len(ran) <= MOST_OBSERVED:
            return ran
        ranked = sorted(ran, key=lambda row: results[row] or math.inf)
        half = MOST_OBSERVED // 2
        others = self._rng.choice(len(ran) - half, half, replace=False)
        return [*ranked[:half], *(ranked[half + other] for other in others)]

    def _refit(self, pool: Pool, rows: list[int], results: Results) -> None:
        points, expected = pool.points_of(rows), pool.expected_of(rows).log_times
        times = np.array([_log_us(results, row) for row in rows])
        level, slope = _line(times, expected)
        rest = _clipped(times - level - slope * expected)
        if len(rows) > 3:
            self._parameters = fitted(points, (rest - rest.mean()) / (rest.std() + 1e-9), self._parameters)
        scales, noise = np.exp(self._parameters[:-1]), float(np.exp(self._parameters[-1]))
        self._surface = Surface(pool.points, scales, noise, points)
        if pool is not self._pool:
            self._limits, self._limited = Limits(pool.points), set[int]()
        self._votes, self._voted = Votes(pool.points, scales, pool.expected.odds), set[int]()
        self._pool, self._fitted_at = pool, len(rows)
        self._observed, self._expected = list(rows), expected
        self._met = {row for row in results if results[row] is not None}

    def _grow(self, pool: Pool, rows: Rows, results: Results) -> None:
        """Observe rows that were asked for since; one that fails is from then on as good as not known."""
        if not rows:
            return
        for point in pool.points_of(rows):
            self._surface.add(point)
        self._observed += rows
        self._expected = np.append(self._expected, pool.expected_of(rows).log_times)
        self._met.update(rows)

    def _odds(self, results: Results) -> Numbers:
        assert self._pool is not None
        for judge, heard in ((self._votes, self._voted), (self._limits, self._limited)):
            new = [row for row in results if row not in heard]
            for row, point in zip(new, self._pool.points_of(new) if new else (), strict=True):
                judge.add(point, results[row] is not None)
            heard.update(new)
        return self._votes.odds() * self._limits.odds()


def improvement(best: float, mean: Numbers, spread: Numbers) -> Numbers:
    """By how much less than `best` a value of this mean and standard deviation is expected to be, 0 if it is more."""
    ahead = (best - mean) / spread
    gain: Numbers = spread * (ahead * ndtr(ahead) + np.exp(-ahead * ahead / 2) / math.sqrt(2 * math.pi))
    return gain


def _log_us(results: Results, row: int) -> float:
    us = results.get(row)
    return math.nan if us is None else math.log(us)


def _clipped(rest: Numbers) -> Numbers:
    clipped: Numbers = np.minimum(rest, np.nanmedian(rest) + CLIPPED_ABOVE)
    return clipped


def _line(times: Numbers, expected: Numbers) -> tuple[float, float]:
    """Level and slope of log times over what was expected of them; of slope 1 where little is known."""
    known = ~np.isnan(times)
    about, over = times[known] - times[known].mean(), expected[known] - expected[known].mean()
    weight = SLOPE_NOISE / SLOPE_SPREAD**2
    slope = max(0.0, float((over @ about + weight) / (over @ over + weight)))
    return float(times[known].mean() - slope * expected[known].mean()), slope
