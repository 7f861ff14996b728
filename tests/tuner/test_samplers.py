"""The samplers, each against the contract."""

from importlib import metadata
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from kerntune.spaces import Space, int_range
from kerntune.spaces.errors import UnknownName, UsageError
from kerntune.tuner.cost_models import boosted
from kerntune.tuner.samplers import SAMPLERS, autotvm, check_name, foretells, make_sampler, rows
from kerntune.tuner.samplers.contract import SamplerContract
from kerntune.tuner.samplers.contract_spaces import conditional
from kerntune.tuner.samplers.moves import Moves
from kerntune.tuner.samplers.rows import Rows
from scipy.stats import spearmanr


class TestRandom(SamplerContract):
    name = "random"


class TestTpe(SamplerContract):
    name = "tpe"


class TestAnnealing(SamplerContract):
    name = "annealing"


class TestAutoTvm(SamplerContract):
    name = "autotvm"


class TestGenetic(SamplerContract):
    name = "genetic"


class TestExhaustive(SamplerContract):
    name = "exhaustive"
    uses_seed = False


def test_a_walk_finds_unseen_rows_around_a_point_of_a_space_that_is_not_listed(monkeypatch):
    """Outward from the nearest row, each row once, until none is left."""
    monkeypatch.setattr(rows, "LISTED_ROWS", 0)
    feasible = conditional()
    walked = Rows(feasible, 0)
    point = walked.point(20)
    found = []
    while not walked.exhausted:
        found.append(walked.nearest(point))
        assert walked.see(found[-1])
    assert found[0] == 20
    assert sorted(found) == list(range(len(feasible)))
    distances = feasible.distances(feasible.matrix([20])[0], found)
    assert distances[:10].mean() < distances[-10:].mean()


def test_an_unknown_sampler_lists_the_known_ones():
    """The style guide's own example."""
    with pytest.raises(
        UnknownName,
        match=r'"bayes" is not a sampler. Known: annealing, autotvm, exhaustive, genetic, random, ranked, tpe',
    ):
        check_name("bayes")


def test_adjacent_rows_are_a_step_away_in_every_parameter():
    """Others in one parameter alone; an absent parameter may be anything."""
    feasible = conditional()
    row = feasible.index({"M": 32, "KIND": "b", "SPLIT": 1})
    near = [dict(feasible[other]) for other in Moves(feasible).adjacent(row)]
    assert {config["M"] for config in near} == {16, 32, 64}
    assert {config.get("REDUCE") for config in near} == {None, "atomic", "workspace", "serial"}
    assert dict(feasible[row]) not in near
    changed = [dict(feasible[other]) for other in Moves(feasible).one_changed(row)]
    assert {(config["M"], config["KIND"]) for config in changed} == {(64, "b"), (128, "b"), (32, "a"), (32, "c")}


def test_a_walk_begins_at_the_best_that_is_known():
    """What an earlier study measured is a better start than chance."""
    space = Space("plane")
    space.add(*(int_range(name, 0, 99) for name in "XYZ"))
    feasible = space.on()
    best = {"X": 7, "Y": 70, "Z": 50}
    for seed in range(5):
        sampler = make_sampler("annealing", feasible, seed)
        sampler.tell(feasible.index({"X": 1, "Y": 2, "Z": 3}), 50.0)
        sampler.tell(feasible.index(best), 5.0)
        sampler.tell(feasible.index({"X": 90, "Y": 90, "Z": 90}), None)
        chosen = feasible[sampler.ask()]
        differing = {name: chosen[name] - best[name] for name in best if chosen[name] != best[name]}
        assert len(differing) == 1 or max(map(abs, differing.values())) == 1


def a_plane():
    """64,000 configs, by X, Y and Z."""
    space = Space("plane")
    space.add(*(int_range(name, 0, 39) for name in "XYZ"))
    return space.on()


def by_valley(config):
    """A made-up time, shortest at X=28, Y=20, Z=8."""
    return 10.0 + sum(((config[name] - floor) / 4) ** 2 for name, floor in zip("XYZ", (28, 20, 8), strict=True))


def test_autotvm_beats_random_on_a_smooth_valley():
    """With the same trials the model finds a better config, on the mean of five seeds."""
    feasible = a_plane()

    def found(name, seed):
        sampler = make_sampler(name, feasible, seed)
        times = []
        for _ in range(64):
            row = sampler.ask()
            times.append(by_valley(feasible[row]))
            sampler.tell(row, times[-1])
        return min(times)

    assert sum(found("autotvm", s) for s in range(5)) < sum(found("random", s) for s in range(5))


def test_boosted_trees_rank_configs_they_have_not_seen():
    """Of a smooth function, from a hundred times; what failed is slower than all that ran."""
    feasible = a_plane()
    drawn = feasible.draw(np.random.default_rng(0), 400)
    features, times = feasible.encode(feasible.matrix(drawn)), [by_valley(feasible[row]) for row in drawn]
    failed = [None if feasible[row]["X"] < 8 else us for row, us in zip(drawn, times, strict=True)]
    for told, held_out in ((times, times[100:]), (failed, [us or 1e9 for us in failed[100:]])):
        score = boosted.fitted(features[:100], told[:100], 16, 0)
        assert spearmanr(-score(features[100:]), held_out).statistic > 0.7


def test_the_recall_of_an_order_counts_the_fastest_that_stand_first():
    """Of the n fastest how many are among the first n, on the mean over n."""
    speeds = np.array([1.0, 0.8, 0.5, 0.2])
    assert boosted.recall(np.array([4.0, 3.0, 2.0, 1.0]), speeds, 4) == 1
    assert boosted.recall(np.array([3.0, 4.0, 2.0, 1.0]), speeds, 2) == 0.5
    assert boosted.recall(np.array([1.0, 2.0, 3.0, 4.0]), speeds, 4) == pytest.approx((0 + 0 + 2 / 3 + 1) / 4)


def test_autotvm_keeps_away_from_what_failed():
    """Four of ten configs fail; of those proposed by a model hardly any."""
    feasible = a_plane()
    sampler = make_sampler("autotvm", feasible, 0)
    failed = []
    for _ in range(96):
        row = sampler.ask()
        failed.append(feasible[row]["Y"] < 16)
        sampler.tell(row, None if failed[-1] else by_valley(feasible[row]))
    assert np.mean(failed[: autotvm.BATCH]) > 0.2
    assert np.mean(failed[2 * autotvm.BATCH :]) < 0.1


def test_a_batch_of_autotvm_is_good_and_differs_in_its_values():
    """Of nearly equal scores the config with values that the batch lacks; a score may outweigh them."""
    points = [[0, 0], [0, 1], [1, 1], [2, 2]]
    assert autotvm.diverse([1.0, 0.9, 0.8, 0.7], points, 3) == [0, 2, 3]
    assert autotvm.diverse([9.0, 8.0, 1.0, 0.0], points, 3) == [0, 1, 2]


def test_a_walker_of_autotvm_steps_over_a_condition():
    """What the condition lets in comes with the step, and leaves with it."""
    feasible = conditional()
    sampler = autotvm.AutoTvmRows(Rows(feasible, 0), 0)
    for _ in range(autotvm.BATCH):
        row = sampler.choose()
        sampler.rows.note(row, 1.0 + row)
    sampler.choose()
    before, after = sampler._walkers, sampler._stepped()
    pairs = [(old["SPLIT"], new["SPLIT"]) for (_, old), (_, new) in zip(before, after, strict=True)]
    assert {(1, 2), (2, 1)} <= set(pairs)
    assert all(feasible.find(config) == row for row, config in after)


def test_a_seed_is_not_negative():
    """Of no sampler: said once, in words."""
    with pytest.raises(UsageError, match="seed is -1: it takes an integer of at least 0"):
        make_sampler("random", conditional(), -1)


def test_only_ranked_of_ours_foretells_its_gain():
    """So that a rule which waits for it can be told to be idle."""
    assert [name for name in SAMPLERS if foretells(name)] == ["ranked"]


def test_a_sampler_of_another_package_is_found_by_its_entry_point(monkeypatch):
    """Group `kerntune.samplers`: a callable that takes the feasible space and the seed."""
    entry = EntryPoint("theirs", "collections:Counter", "kerntune.samplers")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [entry] if group == entry.group else [])
    monkeypatch.setattr(EntryPoint, "load", lambda self: lambda feasible, seed: ("theirs", feasible.total, seed))
    assert check_name("theirs") == "theirs"
    assert make_sampler("theirs", conditional(), 7) == ("theirs", len(conditional()), 7)
    with pytest.raises(UnknownName, match=r"Known: annealing, .*, theirs, tpe"):
        check_name("mine")


def test_a_sampler_of_another_package_that_does_not_load_is_told(monkeypatch):
    """Which package, and why."""
    entry = EntryPoint("theirs", "no_such_package:Sampler", "kerntune.samplers")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [entry])
    with pytest.raises(UsageError, match=r'sampler "theirs" of no_such_package:Sampler cannot be loaded: No module'):
        make_sampler("theirs", conditional(), 0)
