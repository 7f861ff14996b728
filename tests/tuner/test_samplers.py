"""The samplers, each against the contract."""

import pytest
from contracts.sampler_contract import SamplerContract, a_space
from kerntune.spaces.errors import UnknownName
from kerntune.tuner.samplers import check_name, rows
from kerntune.tuner.samplers.rows import Rows


class TestRandom(SamplerContract):
    name = "random"


class TestTpe(SamplerContract):
    name = "tpe"


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
    with pytest.raises(UnknownName, match=r'"bayes" is not a sampler. Known: random, tpe'):
        check_name("bayes")
