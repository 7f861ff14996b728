"""Recorded spaces answer instead of a device: what they hold, and what a search of them is charged."""

import math
from importlib import metadata

import numpy as np
import pytest
from fakes import Clock
from kerntune.spaces.errors import UsageError
from kerntune.tuner.backends.replay import read
from kerntune.tuner.budget import Budget
from kerntune.tuner.replaying import replay
from recordings import a_bowl, write_space

pytestmark = pytest.mark.replay


def searched(path, sampler="exhaustive", trials=40, seeds=1, time_s=math.inf, **more):
    return replay(read(path), sampler, Budget(trials, time_s), seeds, Clock(), **more)


@pytest.fixture
def install(monkeypatch):
    """Install a sampler of another package: it proposes these rows, of each seed."""

    def installed(rows_of, learns=False):
        made = []

        class Told:
            def __init__(self, feasible, seed, known=()):
                self.rows, self.told, self.known = iter(rows_of(seed)), [], known
                made.append(self)

            def ask(self):
                return next(self.rows, None)

            def tell(self, row, median_us):
                self.told.append((row, median_us))

        Told.learns = learns
        entry = metadata.EntryPoint("theirs", "their.package:Told", "kerntune.samplers")
        monkeypatch.setattr(metadata.EntryPoint, "load", lambda self: Told)
        monkeypatch.setattr(metadata, "entry_points", lambda group: [entry] if group == entry.group else [])
        return made

    return installed


# --- what a search is charged


def test_the_curve_is_optimum_over_best_so_far(tmp_path):
    """In order: the first three fail, X=25 is 6 × the optimum, X=30 is the optimum."""
    curve = searched(write_space(tmp_path)).by_trials()
    assert {trials: point.mean for trials, point in curve.items()} == {25: 1 / 6, 40: 1.0}


def test_failures_are_charged_and_count_as_nothing(tmp_path):
    """Where all that was tried failed, the share is 0."""
    path = write_space(tmp_path)
    assert searched(path, trials=3).by_trials()[3].mean == 0.0
    assert searched(path, trials=4).by_trials()[4].mean == 1 / 27


def test_mean_median_and_tenth_percentile_are_over_the_seeds(tmp_path, install):
    """Seed s tries X = 21 + s alone."""
    install(lambda seed: [20 + seed])
    (point,) = searched(write_space(tmp_path), "theirs", trials=1, seeds=4).by_trials().values()
    shares = [1 / 10, 1 / 9, 1 / 8, 1 / 7]
    assert point.mean == pytest.approx(sum(shares) / 4)
    assert point.median == pytest.approx((1 / 9 + 1 / 8) / 2)
    assert point.p10 == pytest.approx(1 / 10 + 0.3 * (1 / 9 - 1 / 10))


def test_a_row_proposed_again_is_answered_and_not_charged(tmp_path, install):
    """One trial is one unique config."""
    made = install(lambda seed: [5, 5, 6, 5, 7])
    seen = []
    report = searched(write_space(tmp_path), "theirs", trials=3, watch=seen.append)
    assert report.mean_trials == 3
    assert [(evaluation.trial, evaluation.config["X"]) for evaluation in seen] == [(1, 6), (2, 7), (3, 8)]
    assert [row for row, _ in made[0].told] == [5, 5, 6, 5, 7]
    assert report.runs[0].ends_s == (0.5, 1.0, 1.5)


def test_a_sampler_that_only_repeats_itself_ends(tmp_path, install):
    """The search is over, and its curve stays where it is."""
    install(lambda seed: iter(lambda: 5, None))
    assert searched(write_space(tmp_path), "theirs").mean_trials == 1


def test_a_sampler_that_leaves_the_space_is_told(tmp_path, install):
    """A mistake of another package is not read as a config from the other end."""
    install(lambda seed: [-1])
    with pytest.raises(UsageError, match='sampler "theirs" proposed row -1 of a space with 40'):
        searched(write_space(tmp_path), "theirs")


def test_recorded_seconds_end_a_search_and_have_a_curve_of_their_own(tmp_path):
    """At half a second each, 13 s are 26 trials; what would end later is not done."""
    report = searched(write_space(tmp_path), time_s=13.4)
    assert report.mean_trials == 26
    assert [(at, point.mean) for at, point in report.by_seconds().items()] == [
        (1.68, 0.0),
        (3.35, 1 / 25),
        (6.7, 1 / 18),
        (13.4, 1 / 5),
    ]


def test_without_recorded_costs_there_are_no_seconds(tmp_path):
    """And a time budget means nothing."""
    path = write_space(tmp_path, cost_ms=None)
    assert searched(path).by_seconds() == {}
    with pytest.raises(UsageError, match="no recorded costs"):
        searched(path, time_s=5.0)


@pytest.mark.parametrize("sampler", ["annealing", "exhaustive", "genetic", "random", "ranked", "tpe"])
def test_a_replay_is_the_same_again(tmp_path, sampler):
    """Seeds decide all there is to decide."""
    path = write_space(tmp_path, a_bowl, {"A": range(8), "B": range(8), "C": range(3)})
    again = [searched(path, sampler, trials=30, seeds=2).runs for _ in range(2)]
    assert again[0] == again[1]
    assert sampler == "exhaustive" or again[0][0].times_us != again[0][1].times_us


@pytest.mark.parametrize("sampler", ["annealing", "genetic", "ranked", "tpe"])
def test_samplers_that_learn_from_times_beat_chance(tmp_path, sampler):
    """On a bowl of 512 configs, where neighbours have similar times."""
    path = write_space(tmp_path, a_bowl, {"A": range(8), "B": range(8), "C": range(8)})
    found, by_chance = (searched(path, name, trials=80, seeds=8).by_trials()[80] for name in (sampler, "random"))
    assert found.mean > by_chance.mean + 0.1


def test_only_the_samplers_own_time_is_counted(tmp_path, install):
    """2 ms for each row it chooses; what the replay does between is not its time."""
    clock = Clock()

    def rows(seed):
        for row in range(5):
            clock.now_s += 0.002
            yield row

    def watch(evaluation):
        clock.now_s += 100.0

    install(rows)
    report = replay(read(write_space(tmp_path)), "theirs", Budget(5, math.inf), 1, clock, watch=watch)
    assert report.sampler_ms_per_trial == pytest.approx(2.0)


# --- what is known of others


def test_a_sampler_that_learns_is_handed_what_others_recorded(tmp_path, install):
    """Every row with its time, NaN where it failed."""
    made = install(lambda seed: [29], learns=True)
    other = read(write_space(tmp_path, name="other"))
    report = searched(write_space(tmp_path), "theirs", known=[other])
    ((known,),) = [sampler.known for sampler in made]
    assert (known.source, report.known) == ("other", ("other",))
    assert known.feasible is other.feasible
    assert np.isnan(known.times_us[:3]).all()
    assert known.times_us[29] == 1000.0
    assert known.rows.tolist() == list(range(40))


def test_a_sampler_that_does_not_learn_is_handed_nothing_and_the_report_says_so(tmp_path):
    """The same search with and without."""
    path, other = write_space(tmp_path), read(write_space(tmp_path, name="other"))
    with_other, alone = searched(path, "tpe", known=[other]), searched(path, "tpe")
    assert with_other.known == ()
    assert with_other.runs == alone.runs


def test_the_space_itself_is_not_to_be_known(tmp_path):
    """It holds the answer."""
    path = write_space(tmp_path)
    with pytest.raises(UsageError, match="the space being searched"):
        searched(path, known=[read(path)])


def test_an_interrupt_keeps_the_seeds_that_were_done(tmp_path):
    """And with none done there is nothing to keep."""

    def interrupt_at(seed):
        def watch(evaluation):
            if evaluation.seed == seed:
                raise KeyboardInterrupt

        return watch

    path = write_space(tmp_path)
    report = searched(path, seeds=5, watch=interrupt_at(2))
    assert (report.interrupted, [run.seed for run in report.runs]) == (True, [0, 1])
    with pytest.raises(KeyboardInterrupt):
        searched(path, seeds=5, watch=interrupt_at(0))
