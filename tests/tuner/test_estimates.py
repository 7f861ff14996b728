"""Samplers that are told what an analytic model predicts."""

from importlib import metadata
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from builders import a_valley
from kerntune.tuner.cost_models.known import KnownRows
from kerntune.tuner.samplers import make_sampler

SEEDS = range(8)


FEASIBLE = a_valley()


def _time_us(config):
    """A valley with its floor at M=64, N=128, K a multiple of 32 and three stages."""
    far = (np.log2(config["M"]) - 6) ** 2 + (np.log2(config["N"]) - 7) ** 2 + (config["S"] - 3) ** 2 / 4
    return 100 * np.exp(0.2 * far) * (1.0 if config["K"] % 32 == 0 else 1.3) * (1.1 if config["KIND"] == "a" else 1)


TIMES_US = np.array([_time_us(config) for config in FEASIBLE])
ROUGH_US = 0.3 * TIMES_US**0.8 * np.random.default_rng(1).lognormal(0, 0.3, FEASIBLE.total)
"""Off by a factor, by a power and by chance."""


def searched(seed, trials, estimates_us=None, known=()):
    """Times of a search."""
    estimate = None if estimates_us is None else lambda rows: estimates_us[np.asarray(rows)]
    sampler = make_sampler("ranked", FEASIBLE, seed, known, estimate)
    came = []
    for _ in range(trials):
        row = sampler.ask()
        came.append(float(TIMES_US[row]))
        sampler.tell(row, came[-1])
    return came


def mean_best(trials, estimates_us=None):
    return float(np.mean([min(searched(seed, trials, estimates_us)) for seed in SEEDS]))


def test_the_first_config_is_the_best_by_estimate():
    """Nothing better is known."""
    assert searched(0, 1, ROUGH_US) == [TIMES_US[ROUGH_US.argmin()]]


@pytest.mark.parametrize("trials", [5, 15])
def test_a_useful_estimate_speeds_a_search_up(trials):
    """It is nearer to the floor after as many trials."""
    assert mean_best(trials, ROUGH_US) - 100 < 0.5 * (mean_best(trials) - 100)


@pytest.mark.parametrize("lies_us", [1e6 / TIMES_US, np.random.default_rng(2).permutation(TIMES_US)])
def test_a_misleading_estimate_does_not_ruin_a_search(lies_us):
    """What was measured outvotes it: after fifty trials the loss is small."""
    assert mean_best(50, lies_us) < 1.1 * mean_best(50)


def test_estimates_and_what_is_known_of_elsewhere_go_together():
    """The model misses the same there as here, and every twentieth config is known of there."""
    missing_us = TIMES_US**0.6 * np.array([1.2 ** config["S"] for config in FEASIBLE])
    rows = np.arange(0, FEASIBLE.total, 20)
    there = KnownRows("there", FEASIBLE, rows, 3 * TIMES_US[rows], estimates_us=missing_us[rows])
    found = [min(searched(seed, 5, missing_us, [there])) for seed in SEEDS]
    alone = [min(searched(seed, 5, missing_us)) for seed in SEEDS]
    assert np.mean(found) < 1.02 * 100 < np.mean(alone)


def test_a_search_with_estimates_is_pure_given_its_seed():
    """The same seed, the same choices."""
    assert searched(3, 12, ROUGH_US) == searched(3, 12, ROUGH_US)


@pytest.mark.parametrize("uses", [True, False])
def test_only_a_sampler_that_says_so_is_given_estimates(uses, monkeypatch):
    """One of another package that knows nothing of them is called as ever."""

    def made(feasible, seed, **told):
        return told

    made.estimates = uses
    entry = EntryPoint("theirs", "somewhere:Sampler", "kerntune.samplers")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [entry])
    monkeypatch.setattr(EntryPoint, "load", lambda self: made)
    assert make_sampler("theirs", FEASIBLE, 0, (), len) == ({"estimate": len} if uses else {})
