"""FeasibleSpace as a sequence of configs, and as numbers for models."""

import numpy as np
import pytest
from kerntune.spaces import Space, choice, flag, permutation, pow2
from kerntune.spaces.errors import SpaceError


def tiles() -> Space:
    """A pair of tile sizes, a loop order, and a way to reduce where the sum is split."""
    space = Space("tiles")
    m, n = space.add(pow2("M", 16, 64), pow2("N", 16, 64))
    space.require(m >= n, "tiles are tall")
    split = space.add(flag("SPLIT"))
    space.when(split == True, space.add(choice("REDUCE", "atomic", "workspace")))  # noqa: E712 -- an expression
    space.add(permutation("LOOPS", "m", "n"))
    return space


def test_it_is_a_sequence():
    """Negative places, slices, membership, IndexError outside."""
    feasible = tiles().on()
    listed = list(feasible)
    assert len(listed) == feasible.total == 36
    assert feasible[-1] == listed[-1]
    assert feasible[3:12:4] == listed[3:12:4]
    assert feasible[::-1] == listed[::-1]
    assert listed[7] in feasible
    assert {"M": 16} not in feasible
    assert "M" not in feasible
    with pytest.raises(IndexError):
        feasible[36]


def test_many_configs_are_found_at_once():
    """In the order asked for, None for what is not there or not even a config."""
    feasible = tiles().on()
    asked = [feasible[5], {"M": 16, "N": 64}, feasible[30], {"X": 1}, {**feasible[5], "M": [16]}]
    assert feasible.find_all(asked) == [5, None, 30, None, None]
    assert feasible.find_all([]) == []


def test_rows_at_positions_are_those_of_the_matrix():
    """Without listing the rest, absence as -1 in both."""
    feasible = tiles().on()
    places = [0, 35, 8, 8]
    assert feasible.matrix(places).tolist() == feasible.matrix()[places].tolist()
    assert feasible.matrix()[0, 3] == -1


def test_the_matrix_is_compact_and_read_only():
    """One byte an index, as all hold the same list."""
    matrix = tiles().on().matrix()
    assert matrix.dtype == np.int8
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 1


def test_a_long_list_of_values_takes_wider_indices():
    """300 values and absence."""
    space = Space("long")
    space.when(space.add(flag("ON")) == True, space.add(choice("X", *range(300))))  # noqa: E712 -- an expression
    matrix = space.on().matrix()
    assert (matrix.dtype, matrix[:, 1].max(), matrix[0, 1]) == (np.int16, 299, -1)


def test_models_read_exponents_places_and_gaps():
    """One row, column by column."""
    feasible = tiles().on()
    assert feasible.features == (
        "M",
        "N",
        "SPLIT=False",
        "SPLIT=True",
        "REDUCE=atomic",
        "REDUCE=workspace",
        "LOOPS@m",
        "LOOPS@n",
    )
    split, whole = ({"M": 32, "N": 16, "SPLIT": s, "LOOPS": "n,m"} for s in (True, False))
    rows = feasible.matrix([feasible.index({**split, "REDUCE": "workspace"}), feasible.index(whole)])
    encoded = feasible.encode(rows)
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded, [[5, 4, 0, 1, 0, 1, 1, 0], [5, 4, 1, 0, np.nan, np.nan, 1, 0]])


def test_a_space_without_parameters_has_one_config():
    """The empty one."""
    feasible = Space("nothing").on()
    assert (feasible.total, list(feasible), feasible.matrix().shape) == (1, [{}], (1, 0)) or dict(feasible[0]) == {}


def test_neighbours_of_what_is_not_feasible_are_refused_with_the_reason():
    """And so is a kind that nobody knows."""
    feasible = tiles().on()
    with pytest.raises(SpaceError, match=r"tiles are tall \(M = 16 < N = 64\)"):
        feasible.neighbours({"M": 16, "N": 64, "SPLIT": False, "LOOPS": "m,n"})
    with pytest.raises(SpaceError, match='"hamming" or "adjacent", not \'near\''):
        feasible.neighbours(feasible[0], "near")


def test_an_adjacent_step_brings_conditional_parameters_with_it():
    """Turning the split on reaches both ways to reduce, which no Hamming neighbour does."""
    feasible = tiles().on()
    whole = {"M": 16, "N": 16, "SPLIT": False, "LOOPS": "m,n"}
    ways = {config.get("REDUCE") for config in feasible.neighbours(whole, "adjacent")}
    assert ways == {None, "atomic", "workspace"}
    assert all("REDUCE" not in config for config in feasible.neighbours(whole))
