"""Random spaces against nested loops that ask Python itself."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kerntune.spaces import Space, growth
from kerntune.spaces.feasible import FeasibleSpace
from kerntune.spaces.points import ABSENT
from kerntune.spaces.rules import Rule

WAYS = st.sampled_from(["tables", "folded", "pairs"])


def feasible_of(space: Space, way: str) -> FeasibleSpace:
    """The feasible space, its rules looked up in tables, folded as values come, or asked pair by pair."""
    with pytest.MonkeyPatch.context() as patch:
        if way == "folded":
            patch.setattr(growth, "TABLE_CELLS", 0)
        if way == "pairs":
            patch.setattr(Rule, "table_or_none", None)
        return space.on()


@settings(max_examples=400, deadline=None)
@given(oracle.spaces(), WAYS)
def test_the_configs_are_those_of_nested_loops_in_their_order(space, way):
    """Conditions, derived values, guarded divisions and every kind of parameter."""
    feasible = feasible_of(space, way)
    expected = list(oracle.configs(space.declaration))
    assert [dict(config) for config in feasible] == expected
    assert (feasible.total, len(feasible)) == (len(expected), len(expected))


@settings(max_examples=150, deadline=None)
@given(oracle.spaces(), WAYS)
def test_position_and_config_are_each_others_inverse(space, way):
    """`[i]`, iteration, `index` and the rows of the matrix tell the same story."""
    feasible = feasible_of(space, way)
    matrix = feasible.matrix()
    assert matrix.shape == (feasible.total, len(feasible.parameters))
    for place, config in enumerate(feasible):
        assert feasible[place] == config
        assert feasible.index(config) == place
        row = [p.values.index(config[p.name]) if p.name in config else ABSENT for p in feasible.parameters]
        assert matrix[place].tolist() == row


@settings(max_examples=150, deadline=None)
@given(oracle.spaces(), st.data())
def test_a_config_is_refused_exactly_if_the_loops_do_not_meet_it(space, data):
    """What is not feasible has no position and an explanation; what is feasible has none."""
    feasible = space.on()
    config = {p.name: data.draw(st.sampled_from(p.values)) for p in feasible.parameters if data.draw(st.booleans())}
    expected = config in [dict(met) for met in oracle.configs(space.declaration)]
    assert (config in feasible) == expected
    assert (feasible.explain(config) == "it is feasible") == expected


@settings(max_examples=100, deadline=None)
@given(oracle.spaces())
def test_hamming_neighbours_are_the_configs_that_differ_in_one_parameter(space):
    """All of them, in order, both ways."""
    listed = list(space.on())
    for config in listed[:12]:
        differing = [sum(config.get(n) != other.get(n) for n in {*config, *other}) for other in listed]
        expected = [other for other, count in zip(listed, differing, strict=True) if count == 1]
        assert space.on().neighbours(config) == expected


@settings(max_examples=100, deadline=None)
@given(oracle.spaces())
def test_being_adjacent_holds_both_ways(space):
    """And only one of the parameters that both configs have has taken a step."""
    feasible = space.on()
    places = {p.name: p for p in feasible.parameters}
    for config in list(feasible)[:12]:
        for other in feasible.neighbours(config, "adjacent"):
            assert config in feasible.neighbours(other, "adjacent")
            (changed,) = [name for name in config.keys() & other.keys() if config[name] != other[name]]
            parameter = places[changed]
            assert parameter.places[other[changed]] in parameter.neighbours_of(parameter.places[config[changed]])


@settings(max_examples=100, deadline=None)
@given(oracle.spaces(), st.integers(0, 2**31))
def test_the_nearest_config_has_the_smallest_distance(space, seed):
    """The first of the closest, found without a list."""
    feasible = space.on()
    rng = np.random.default_rng(seed)
    point = {p.name: p.values[rng.integers(len(p.values))] for p in feasible.parameters}
    if feasible.total:
        indices = np.array([p.places[point[p.name]] for p in feasible.parameters])
        distances = feasible.distances(indices)
        closest = [feasible[int(place)] for place in np.flatnonzero(np.isclose(distances, distances.min()))]
        assert feasible.nearest(point) in closest


@settings(max_examples=60, deadline=None)
@given(oracle.spaces())
def test_what_each_constraint_removes_is_what_comes_back_without_it(space):
    """Counts in turn add up; alone and only-it are those of the loops."""
    declaration, described = space.declaration, space.describe()
    every = frozenset(range(len(declaration.constraints)))
    free = sum(1 for _ in oracle.configs(declaration, without=every))
    assert described.unconstrained == free
    assert free - sum(removal.in_turn for removal in described.removals) == described.feasible
    for place, removal in enumerate(described.removals):
        assert removal.alone == free - sum(1 for _ in oracle.configs(declaration, without=every - {place}))
        back = sum(1 for _ in oracle.configs(declaration, without=frozenset({place})))
        assert removal.only_it == back - described.feasible


@settings(max_examples=150, deadline=None)
@given(oracle.spaces())
def test_a_conflict_is_a_smallest_set_that_leaves_nothing(space):
    """No smaller set of constraints empties the space."""
    feasible, declaration = space.on(), space.declaration
    if feasible.total:
        assert feasible.conflict == ()
        return
    every = frozenset(range(len(declaration.constraints)))
    named = frozenset(place for place, c in enumerate(declaration.constraints) if c in feasible.conflict)
    assert next(oracle.configs(declaration, without=every - named), None) is None
    for place in named:
        assert next(oracle.configs(declaration, without=every - named | {place}), None) is not None
    if len(named) > 1:  # and no single one does it either
        assert all(next(oracle.configs(declaration, without=every - {place}), None) is not None for place in every)
