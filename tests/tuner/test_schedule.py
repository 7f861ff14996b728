"""Which of many problems is searched next."""

import math

import pytest
from kerntune.tuner.schedule import FIRST_TRIALS, LEAST_SWITCHES, SWITCH_SHARE, Standing, foretold, next_slice


def a_standing(weighted_us=100.0, trials=20, trial_s=1.0, expected_gain=None) -> Standing:
    return Standing(weighted_us, trials, trial_s, expected_gain)


def chosen(*standings, switch_s=0.1) -> int:
    return next_slice(standings, switch_s).place


def test_every_problem_has_a_first_slice_the_largest_first():
    """A short budget serves what matters, and nothing is left at its default."""
    huge = a_standing(1e9, trials=4)
    assert chosen(huge, a_standing(5.0, trials=0), a_standing(7.0, trials=0)) == 2
    assert chosen(huge, a_standing(5.0, trials=0), a_standing(7.0, trials=4)) == 1


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (a_standing(200.0), a_standing(100.0)),
        (a_standing(trials=20), a_standing(trials=40)),
        (a_standing(trial_s=1.0), a_standing(trial_s=2.0)),
        (a_standing(expected_gain=0.05), a_standing(expected_gain=0.01)),
    ],
    ids=["weighs more", "less tried", "quicker trials", "sampler expects more"],
)
def test_of_two_alike_the_one_that_promises_more_goes_on(better, worse):
    """More weighted time, fewer trials made, quicker trials, more expected."""
    assert (chosen(better, worse), chosen(worse, better)) == (0, 1)


def test_a_heavy_problem_far_gone_leaves_the_turn_to_a_lighter_one():
    """Where it has little more to gain."""
    assert chosen(a_standing(1000.0, trials=200), a_standing(100.0, trials=8)) == 1
    assert chosen(a_standing(1000.0, trials=16), a_standing(100.0, trials=8)) == 0


def test_what_is_foretold_falls_with_the_trials_made_and_adds_up():
    """Two slices gain what one of both does."""
    gains = [foretold(done, 10) for done in (0, 10, 50, 200)]
    assert gains == sorted(gains, reverse=True)
    assert foretold(0, 10) + foretold(10, 30) == pytest.approx(foretold(0, 40))
    assert 0 < foretold(100, 10, expected_gain=0.0) < foretold(100, 10)


def test_a_budget_too_short_for_all_goes_where_the_total_falls_most():
    """A problem that hardly matters is left at its default."""
    huge, small = a_standing(1e4, trials=4), a_standing(1.0, trials=0)
    assert next_slice([huge, small], 0.1, left_s=100.0).place == 1
    assert next_slice([huge, small], 0.1, left_s=2.0).place == 0


def trials_of(standing, switch_s, left_s=math.inf) -> int:
    return next_slice([standing], switch_s, left_s).trials


def test_slices_grow_with_the_trials_made():
    """A search that is far on is left alone for longer."""
    assert trials_of(a_standing(trials=0), switch_s=0.1) == FIRST_TRIALS
    assert trials_of(a_standing(trials=100), switch_s=0.1) == 50


@pytest.mark.parametrize(("switch_s", "trial_s"), [(0.2, 0.2), (1.5, 0.03)])
def test_a_switch_takes_a_small_part_of_a_slice(switch_s, trial_s):
    """A new child process is opened for trials that are worth it."""
    planned = next_slice([a_standing(trial_s=trial_s)], switch_s)
    assert planned.planned_s == pytest.approx(switch_s + planned.trials * trial_s)
    assert switch_s / planned.planned_s <= SWITCH_SHARE + 1e-9


def test_a_slice_leaves_time_for_others_but_is_worth_its_switch():
    """Half of an equal share of the time left, and a few times as long as the switch at least."""
    assert trials_of(a_standing(trials=100), 0.1, left_s=20.0) == 10
    assert trials_of(a_standing(trials=100), 2.0, left_s=0.1) == LEAST_SWITCHES * 2
