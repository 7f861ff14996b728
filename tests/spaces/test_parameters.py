"""Kinds of parameter."""

import numpy as np
import pytest
from kerntune.spaces import Space, choice, constant, flag, int_range, permutation, position, pow2
from kerntune.spaces.errors import SpaceError


def test_each_kind_owns_its_values():
    """Bounds are included; flags are off first."""
    assert pow2("P", 16, 128).values == (16, 32, 64, 128)
    assert int_range("I", 2, 8, step=3).values == (2, 5, 8)
    assert flag("F").values == (False, True)
    assert choice("C", "a", "b", default="b").default == "b"
    assert constant("K", 2).values == (2,)
    assert permutation("O", "m", "n", "k", default="k,m,n").values[:3] == ("m,n,k", "m,k,n", "n,m,k")


@pytest.mark.parametrize(
    "make",
    [
        lambda: pow2("P", 12, 64),
        lambda: int_range("I", 5, 2),
        lambda: int_range("I", 1, 4, step=0),
        lambda: choice("C"),
        lambda: choice("C", 1, 1),
        lambda: choice("C", 1, 2, default=3),
        lambda: choice("two words", 1),
        lambda: choice("C", 0.5, float("nan")),
        lambda: choice("C", True, 1),
        lambda: int_range("I", 0, 10**12),
        lambda: permutation("O", "m", "m"),
        lambda: permutation("O", "a,b", "c"),
        lambda: permutation("O", *"abcdefghi"),
        lambda: permutation("O", "m", "n", default="m"),
    ],
)
def test_a_kind_that_cannot_mean_what_it_says_is_refused(make):
    """At the definition, not at the first use."""
    with pytest.raises(SpaceError):
        make()


KINDS = [
    choice("UNSORTED", 4, 1, 16, 2),
    choice("TEXT", "x", "y", "z"),
    pow2("P", 1, 64),
    int_range("I", 3, 9, step=2),
    flag("F"),
    permutation("O", "m", "n", "k"),
    constant("K", 7),
]


@pytest.mark.parametrize("parameter", KINDS, ids=lambda parameter: parameter.name)
def test_distances_of_values_are_a_metric_from_0_to_1(parameter):
    """Nothing is far from itself, and as far one way as the other."""
    steps = np.array([parameter.steps_from(place) for place in range(len(parameter.values))])
    assert (np.diag(steps) == 0).all()
    assert (steps == steps.T).all()
    assert steps.max() <= 1
    assert (steps[~np.eye(len(steps), dtype=bool)] > 0).all()


@pytest.mark.parametrize("parameter", KINDS, ids=lambda parameter: parameter.name)
def test_being_neighbours_holds_both_ways_and_reaches_every_value(parameter):
    """A walk along neighbours can go anywhere."""
    places = range(len(parameter.values))
    assert all(one in parameter.neighbours_of(other) for one in places for other in parameter.neighbours_of(one))
    reached, frontier = {0}, [0]
    while frontier:
        new = set(parameter.neighbours_of(frontier.pop())) - reached
        reached |= new
        frontier += new
    assert reached == set(places)


@pytest.mark.parametrize("parameter", KINDS, ids=lambda parameter: parameter.name)
def test_the_encoding_tells_every_value_apart_in_named_columns(parameter):
    """What a cost model reads."""
    assert parameter.encoding.shape == (len(parameter.values), len(parameter.features))
    assert len(np.unique(parameter.encoding, axis=0)) == len(parameter.values)


def test_each_kind_encodes_what_it_means():
    """Exponents of powers of two, sizes of numbers, a column for each text, places of items."""
    assert pow2("P", 4, 16).encoding.tolist() == [[2], [3], [4]]
    assert choice("C", 9, 3).encoding.tolist() == [[9], [3]]
    assert choice("T", "x", "y").features == ("T=x", "T=y")
    order = permutation("O", "n", "m")
    assert (order.features, order.encoding.tolist()) == (("O@m", "O@n"), [[1, 0], [0, 1]])


def test_numbers_are_neighbours_by_size_and_not_by_place_in_the_list():
    """4, 1, 16, 2: the neighbours of 4 are 2 and 16."""
    unsorted = KINDS[0]
    assert [unsorted.values[place] for place in unsorted.neighbours_of(0)] == [16, 2]


def test_neighbours_of_an_order_swap_two_adjacent_items():
    """Three items have two such swaps."""
    order = permutation("O", "m", "n", "k")
    assert {order.values[place] for place in order.neighbours_of(0)} == {"n,m,k", "m,k,n"}


def test_constraints_read_an_order_through_the_place_of_its_items():
    """Half of the orders have k inside of m."""
    space = Space("loops")
    loops = space.add(permutation("LOOPS", "m", "n", "k"))
    space.require(position(loops, "k") > position(loops, "m"), "k runs inside of m")
    assert {config["LOOPS"] for config in space.on()} == {"m,n,k", "m,k,n", "n,m,k"}
