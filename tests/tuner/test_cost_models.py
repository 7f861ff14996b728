"""The models behind `ranked`, against what can be computed directly."""

import math
from dataclasses import replace

import numpy as np
import pytest
from builders import a_target
from kerntune.spaces import Space, choice, flag, int_range, permutation, pow2
from kerntune.tuner.cost_models import elsewhere
from kerntune.tuner.cost_models.coordinates import Coordinates
from kerntune.tuner.cost_models.elsewhere import expectation
from kerntune.tuner.cost_models.feasibility import PRIOR_WEIGHT, Votes
from kerntune.tuner.cost_models.gaussian import JITTER, Surface, matern
from kerntune.tuner.cost_models.known import KnownRows
from kerntune.tuner.cost_models.limits import Limits
from kerntune.tuner.cost_models.ranking import improvement
from kerntune.tuner.cost_models.scales import fitted, usual
from kerntune.tuner.samplers.contract_spaces import conditional

RNG = np.random.default_rng(7)
POINTS, POOL = RNG.random((12, 3)), RNG.random((50, 3))
SCALES, NOISE = np.array([0.5, 1.0, 2.0]), 0.01
VALUES = np.sin(5 * POINTS[:, 0]) + POINTS[:, 1]


def posterior(points, values):
    """Mean and variance at POOL by the textbook's formula, values scaled to mean 0 and variance 1."""
    middle, width = values.mean(), values.std()
    gram = matern(points, points, SCALES) + (NOISE + JITTER) * np.eye(len(points))
    near = matern(POOL, points, SCALES)
    scaled = (values - middle) / width
    amplitude = scaled @ np.linalg.solve(gram, scaled) / len(values)
    mean = near @ np.linalg.solve(gram, scaled)
    variance = 1 - np.einsum("ij,ji->i", near, np.linalg.solve(gram, near.T))
    return mean * width + middle, np.sqrt(amplitude * variance) * width


def test_a_surface_is_the_textbooks_posterior():
    """Rasmussen and Williams, equations 2.25 and 2.26."""
    mean, spread = Surface(POOL, SCALES, NOISE, POINTS).predict(VALUES)
    expected_mean, expected_spread = posterior(POINTS, VALUES)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-4)
    np.testing.assert_allclose(spread, expected_spread, atol=1e-3)


def test_a_surface_grown_point_by_point_is_the_one_built_at_once():
    """The third point on costs milliseconds, not a new model."""
    grown = Surface(POOL, SCALES, NOISE, POINTS[:2])
    for point in POINTS[2:]:
        grown.add(point)
    at_once = Surface(POOL, SCALES, NOISE, POINTS)
    for one, other in zip(grown.predict(VALUES), at_once.predict(VALUES), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_what_is_not_known_yet_narrows_the_spread_and_moves_no_mean():
    """A row still open is not proposed twice, and nothing is believed of it."""
    half = np.where(np.arange(len(VALUES)) < 8, VALUES, np.nan)
    mean, spread = Surface(POOL, SCALES, NOISE, POINTS).predict(half)
    known_mean, known_spread = Surface(POOL, SCALES, NOISE, POINTS[:8]).predict(VALUES[:8])
    np.testing.assert_allclose(mean, known_mean, atol=0.02)
    assert (spread / known_spread).mean() < 0.9


def test_scales_tell_what_matters_from_what_does_not():
    """A coordinate that changes nothing gets a longer scale than one that decides."""
    points = RNG.random((40, 3))
    values = np.sin(7 * points[:, 0])
    found = fitted(points, (values - values.mean()) / values.std(), usual(3))
    assert found[0] < min(found[1], found[2]) - 0.5
    assert found[3] < usual(3)[3]  # no noise


def test_improvement_is_the_integral_it_stands_for():
    """E[max(best - y, 0)] for a normal y."""
    draws = np.random.default_rng(1).normal(1.2, 0.4, 1_000_000)
    (found,) = improvement(1.0, np.array([1.2]), np.array([0.4]))
    assert found == pytest.approx(np.maximum(1.0 - draws, 0).mean(), rel=0.01)
    assert improvement(1.0, np.array([9.0, 0.5]), np.array([0.01, 1e-9])) == pytest.approx([0.0, 0.5])


def test_votes_are_believed_near_by_and_forgotten_far_away():
    """A limit refuses its neighbourhood and nobody else."""
    pool = np.array([[0.0], [0.05], [5.0]])
    votes = Votes(pool, np.array([1.0]), np.full(3, 0.9))
    assert votes.odds() == pytest.approx(0.9)
    votes.add(np.array([0.0]), ran=False)
    at, near, far = votes.odds()
    assert at == pytest.approx(0.9 * PRIOR_WEIGHT / (1 + PRIOR_WEIGHT), abs=1e-3)
    assert at < near < 0.4
    assert far == pytest.approx(0.9, abs=1e-3)
    votes.add(np.array([0.0]), ran=True)
    assert votes.odds()[0] > at


def test_limits_on_a_product_are_seen_far_from_any_that_failed():
    """Trees know which parameters matter, and sums of logarithms among them."""
    points = np.random.default_rng(2).random((60, 4))
    limits = Limits(np.array([[0.95, 0.95, 0.1, 0.9], [0.1, 0.1, 0.9, 0.1], [0.1, 0.95, 0.5, 0.5]]))
    assert limits.odds().tolist() == [1.0, 1.0, 1.0]
    for point in points:
        limits.add(point, ran=bool(point[0] + point[1] < 1.3))
    beyond, below, beside = limits.odds()
    assert beyond < 0.2
    assert below > 0.8
    assert beside > 0.6


def test_coordinates_are_between_0_and_1_and_alike_is_near():
    """Every kind of parameter, and the absence of one."""
    space = Space("kinds")
    size, kind = space.add(int_range("N", 8, 40, 8), choice("KIND", "a", "b", "c"))
    space.add(pow2("TILE", 16, 128), flag("PAD"), permutation("LOOPS", "m", "n", "k"), choice("ONE", 7))
    space.when(kind == "a", space.add(choice("SPLIT", 2, 4)))
    space.require(size >= 8, "always")
    feasible = space.on(None, a_target("cpu"))
    made = Coordinates(feasible)
    points = made.of(feasible.matrix())
    # N by size and by twos, three kinds, TILE (whose twos say nothing new), PAD, three loops, SPLIT and whether it is
    assert points.shape == (feasible.total, 2 + 3 + 1 + 1 + 3 + 2)
    assert points.min() == 0.0
    assert points.max() == 1.0
    assert len(np.unique(points, axis=0)) == feasible.total
    eight, sixteen, forty = (points[feasible.index({**feasible[0], "N": n})] for n in (8, 16, 40))
    assert abs(sixteen - eight)[0] < abs(forty - eight)[0]
    assert eight[1] == forty[1] < sixteen[1]  # 8 and 40 are three twos, 16 is four


@pytest.fixture
def known():
    """The contract's space as another device timed it: rows 0, 5, 10 … only, of which every third failed."""
    feasible = conditional()
    rows = np.arange(0, feasible.total, 2)
    times = np.where(rows % 3 == 0, np.nan, 10.0 + rows)
    return KnownRows("elsewhere", feasible, rows, times)


def test_what_was_tried_elsewhere_counts_as_it_did_there(known):
    """To the microsecond, up to a constant; its failures too."""
    feasible = conditional()
    told = expectation(feasible, [known])(list(known.rows))
    failed = np.isnan(known.times_us)
    np.testing.assert_allclose(np.diff(told.log_times[~failed]), np.diff(np.log(known.times_us[~failed])), atol=1e-6)
    assert told.odds.tolist() == [0.0 if fault else 1.0 for fault in failed]


def test_of_what_was_not_tried_elsewhere_a_model_speaks(known, monkeypatch):
    """Slower at the far end, as its neighbours were; a value the other space lacks is no error."""
    monkeypatch.setattr(elsewhere, "TREES", 300)
    elsewhere._model.cache_clear()
    space = Space("wider")
    m, kind = space.add(pow2("M", 16, 256), choice("KIND", "a", "b", "c", "d"))
    split = space.add(choice("SPLIT", 1, 2))
    space.when(split > 1, space.add(choice("REDUCE", "atomic", "workspace", "serial")))
    space.require((m > 16) | (kind == "a"), "small tiles are of kind a")
    feasible = space.on(None, a_target("cpu"))
    told = expectation(feasible, [known])(range(feasible.total))
    small = [row for row in range(feasible.total) if feasible[row]["M"] == 16]
    large = [row for row in range(feasible.total) if feasible[row]["M"] == 128]
    assert told.log_times[large].mean() > told.log_times[small].mean() + 0.5
    assert np.isfinite(told.log_times).all()
    assert ((told.odds >= 0) & (told.odds <= 1)).all()


def test_what_several_sources_tried_is_the_mean_of_theirs(known):
    """Nobody is believed alone."""
    feasible = conditional()
    slower = replace(known, times_us=known.times_us[::-1].copy())
    one, other, both = (
        expectation(feasible, sources)([4, 10]).log_times for sources in ([known], [slower], [known, slower])
    )
    np.testing.assert_allclose(both, (one + other) / 2, rtol=1e-6)
    assert not math.isclose(one[1], other[1])


def test_of_several_sources_the_near_one_counts_more(known):
    """Two steps farther is a sixteenth of the say."""
    far = replace(known, times_us=known.times_us[::-1].copy(), distance=2.0)
    near, away, both = (
        expectation(conditional(), sources)([4, 10]).log_times for sources in ([known], [far], [known, far])
    )
    np.testing.assert_allclose(both, (16 * near + away) / 17, rtol=1e-6)


def test_what_an_estimate_missed_elsewhere_carries_over(known):
    """Twice the time that was estimated there is twice the time that is estimated here."""
    estimates_us = np.where(known.rows % 4 == 0, 0.5, 1.0) * np.nan_to_num(known.times_us, nan=1.0)
    ran = ~np.isnan(known.times_us)
    here_us = np.linspace(50.0, 90.0, conditional().total)
    told = expectation(conditional(), [replace(known, estimates_us=estimates_us)], lambda rows: here_us[list(rows)])
    rows = known.rows[ran]
    wanted = np.log(here_us[rows]) + np.log(known.times_us / estimates_us)[ran]
    np.testing.assert_allclose(np.diff(told(list(rows)).log_times), np.diff(wanted), atol=1e-6)
