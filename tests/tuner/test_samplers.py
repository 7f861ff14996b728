"""The samplers, each against the contract."""

from importlib import metadata
from importlib.metadata import EntryPoint

import pytest
from contracts.sampler_contract import SamplerContract, a_space
from kerntune.spaces import Space, int_range
from kerntune.spaces.errors import UnknownName, UsageError
from kerntune.tuner.samplers import SAMPLERS, check_name, make_sampler, rows
from kerntune.tuner.samplers.moves import Moves
from kerntune.tuner.samplers.rows import Rows


class TestRandom(SamplerContract):
    name = "random"


class TestTpe(SamplerContract):
    name = "tpe"


class TestAnnealing(SamplerContract):
    name = "annealing"


class TestGenetic(SamplerContract):
    name = "genetic"


class TestExhaustive(SamplerContract):
    name = "exhaustive"

    def test_it_is_pure_given_its_seed(self):
        """In order, whatever the seed."""
        for seed in (3, 4):
            _, sampler = self.sampler(seed)
            assert [sampler.ask() for _ in range(25)] == list(range(25))


def test_a_walk_finds_unseen_rows_around_a_point_of_a_space_that_is_not_listed(monkeypatch):
    """Outward from the nearest row, each row once, until none is left."""
    monkeypatch.setattr(rows, "LISTED_ROWS", 0)
    feasible = a_space()
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
        UnknownName, match=r'"bayes" is not a sampler. Known: annealing, exhaustive, genetic, random, ranked, tpe'
    ):
        check_name("bayes")


def test_the_last_row_may_be_claimed():
    """A seed is taken without asking the sampler, which would have nothing left to choose."""
    feasible = a_space()
    for name in SAMPLERS:
        sampler = make_sampler(name, feasible, 0)
        rows = [sampler.ask() for _ in range(len(feasible) - 1)]
        (last,) = set(range(len(feasible))) - set(rows)
        assert sampler.claim(last)
        assert sampler.ask() is None


def test_adjacent_rows_are_a_step_away_in_every_parameter():
    """Others in one parameter alone; an absent parameter may be anything."""
    feasible = a_space()
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


def test_a_sampler_of_another_package_is_found_by_its_entry_point(monkeypatch):
    """Group `kerntune.samplers`: a callable that takes the feasible space and the seed."""
    entry = EntryPoint("theirs", "collections:Counter", "kerntune.samplers")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [entry] if group == entry.group else [])
    monkeypatch.setattr(EntryPoint, "load", lambda self: lambda feasible, seed: ("theirs", feasible.total, seed))
    assert check_name("theirs") == "theirs"
    assert make_sampler("theirs", a_space(), 7) == ("theirs", len(a_space()), 7)
    with pytest.raises(UnknownName, match=r"Known: annealing, .*, theirs, tpe"):
        check_name("mine")


def test_a_sampler_of_another_package_that_does_not_load_is_told(monkeypatch):
    """Which package, and why."""
    entry = EntryPoint("theirs", "no_such_package:Sampler", "kerntune.samplers")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [entry])
    with pytest.raises(UsageError, match=r'sampler "theirs" of no_such_package:Sampler cannot be loaded: No module'):
        make_sampler("theirs", a_space(), 0)
