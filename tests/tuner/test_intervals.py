"""Intervals of a median, by simulation."""

import math

import numpy as np
import pytest
from kerntune.tuner.intervals import median_error, median_interval


def lognormal(rng, count):
    """Times with a long tail; true median 10."""
    return 10 * np.exp(0.3 * rng.standard_normal(count))


def bimodal(rng, count):
    """Two clock speeds, one of them met twice as often."""
    return np.where(rng.random(count) < 2 / 3, 10.0, 12.0) + 0.1 * rng.standard_normal(count)


@pytest.mark.parametrize(("draw", "count"), [(d, n) for d in (lognormal, bimodal) for n in (6, 10, 33, 200)])
def test_the_interval_holds_the_median_in_at_least_95_of_100_runs(draw, count):
    """Whatever the distribution; 2,000 simulated measurements, three standard errors of slack."""
    rng = np.random.default_rng(7)
    truth = float(np.median(draw(rng, 1_000_000)))
    held = sum(low <= truth <= high for low, high in (median_interval(list(draw(rng, count))) for _ in range(2000)))
    assert held / 2000 >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 2000)


def test_the_interval_is_not_wider_than_it_must_be():
    """One order statistic further in on each side would hold too little."""
    assert median_interval(list(range(10))) == (1, 8)  # 97.9 %; (2, 7) has 89 %
    assert median_interval(list(range(100))) == (39, 60)


def test_five_samples_bound_nothing():
    """All five lie above the median once in 32 times, and below as often: 93.75 %."""
    assert median_interval([1.0] * 5) == (0.0, math.inf)
    assert median_interval([1.0] * 6) == (1.0, 1.0)


def test_the_error_of_a_median_shrinks_with_the_root_of_the_samples_and_forgives_outliers():
    """1.25 σ / √n for normal data."""
    rng = np.random.default_rng(1)
    samples = list(rng.normal(100, 2, 400))
    assert median_error(samples) == pytest.approx(1.2533 * 2 / 20, rel=0.2)
    assert median_error([*samples, *[1e6] * 20]) == pytest.approx(median_error(samples), rel=0.15)
