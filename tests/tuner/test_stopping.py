"""Stop rules: a study may end before its budget is spent."""

import math

import pytest
from fakes import FakeEngine
from kerntune.spaces.errors import UsageError
from kerntune.tuner.stopping import MODEST_IN_A_ROW, StopRules, Watcher, gain_over
from studies import a_study, by_depth


def after(rules, bests_us):
    """How many trials of these bests so far a rule allows, and the rule."""
    watcher = Watcher(rules)
    for trial, best_us in enumerate(bests_us, 1):
        watcher.tried(best_us)
        if watcher.reason is not None:
            return trial, watcher.reason
    return None


def test_no_rule_ends_nothing():
    """All are off unless asked for."""
    assert after(StopRules(), [10.0] * 1000) is None


def test_patience_ends_after_so_many_trials_without_a_better_best():
    """The count begins anew with each better best."""
    assert after(StopRules(patience=3), [10.0, 10.0, 9.0, 9.0, 9.0, 9.0]) == (6, "patience")
    assert after(StopRules(patience=3), [10.0, 10.0, 9.0, 9.0, 9.0]) is None


def test_a_hair_is_no_better_best_but_many_hairs_are():
    """0.4 % is within what a median is known to; three times 0.4 % is not."""
    assert after(StopRules(patience=3), [100.0, 99.6, 99.6, 99.6]) == (4, "patience")
    assert after(StopRules(patience=3), [100.0, 99.6, 99.2, 99.2, 99.2]) is None


def test_patience_waits_until_something_runs():
    """A study that stops with nothing serves nobody."""
    assert after(StopRules(patience=2), [None] * 9) is None
    assert after(StopRules(patience=2), [None, None, None, 5.0, 5.0, 5.0]) == (6, "patience")


def test_a_target_reached_ends_the_study():
    """The first best at or below it."""
    assert after(StopRules(target_us=9.0), [10.0, 9.5, 9.0, 8.0]) == (3, "target")


def test_little_expected_gain_ends_the_study_only_when_it_lasts():
    """One proposal may be a model's mood; what is not known is never little."""
    watcher = Watcher(StopRules(min_gain=0.01))
    for gain in [*[0.001] * (MODEST_IN_A_ROW - 1), 0.2, *[0.001] * (MODEST_IN_A_ROW - 1), None]:
        watcher.expects(gain)
        assert watcher.reason is None
    for _ in range(MODEST_IN_A_ROW):
        assert watcher.reason is None
        watcher.expects(0.009)
    assert watcher.reason == "gain"


def test_the_expected_gain_of_several_searches_is_over_the_best_of_all():
    """A slow template that gets 10 % better gains nothing; one that cannot say leaves it open."""
    assert gain_over(10.0, [(0.02, 10.0), (0.1, 20.0)]) == pytest.approx(0.02)
    assert gain_over(10.0, [(0.02, 10.0), (0.1, 10.5)]) == pytest.approx(0.055)
    assert gain_over(10.0, [(0.0, 10.0), (0.1, 20.0)]) == 0
    assert gain_over(10.0, [(0.02, 10.0), (None, 20.0)]) is None
    assert gain_over(10.0, [(0.02, 10.0), (0.1, math.inf)]) is None


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"patience": 0}, "patience is 0.*--patience 50"),
        ({"min_gain": 1.0}, "min_gain is 1.0.*--min-gain 0.01"),
        ({"min_gain": math.nan}, "min_gain"),
        ({"target_us": 0.0}, "target_us is 0.0.*--target-us 210"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(rule, words):
    """With an example of one that does."""
    with pytest.raises(UsageError, match=words):
        StopRules(**rule)


@pytest.mark.parametrize(
    ("rules", "stopped"),
    [
        (StopRules(), "trials"),
        (StopRules(patience=4), "patience"),
        (StopRules(target_us=1e9), "target"),
    ],
)
@pytest.mark.parametrize("overlaps", [True, False])
def test_a_study_says_what_ended_it_and_the_playoff_is_held(rules, stopped, overlaps):
    """The winner is settled whatever ended the search."""
    study = a_study(FakeEngine(by_depth, overlaps=overlaps), trials=150, rules=rules)
    assert study.run().phase == "playoff"
    assert study.stopped == stopped
    assert (len(study.records) == 150) == (stopped == "trials")


def test_ranked_ends_when_it_expects_little():
    """In a valley that a model sees through, far before all trials are made, near the best there is."""
    study = a_study(FakeEngine(by_depth), trials=500, sampler="ranked", rules=StopRules(min_gain=0.01))
    best = study.run()
    assert (study.stopped, len(study.records) < 150) == ("gain", True)
    (lane,) = study.lanes
    assert best.measurement.median_us <= 1.1 * min(by_depth(config) for config in lane.feasible)


def test_a_search_goes_on_where_the_last_slice_ended():
    """Slices try what one search would, each config once, though every slice has an engine of its own."""
    whole = a_study(engine := FakeEngine(by_depth), trials=30)
    whole.run()
    sliced = a_study(FakeEngine(by_depth), trials=30)
    measured = []
    for end in (7, 19, 30):
        sliced.engine = FakeEngine(by_depth)
        sliced.spending.budget = type(sliced.spending.budget)(trials=end, time_s=1e9)
        assert sliced.search() == "trials"
        measured += sliced.engine.measured
    assert len(set(measured)) == 30
    assert sorted(measured, key=repr) == sorted(engine.measured, key=repr)
