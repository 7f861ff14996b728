"""Space and FeasibleSpace."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kerntune.spaces import Space, choice, flag, int_range, pow2
from kerntune.spaces.errors import SpaceError


def tiles() -> Space:
    """A tile space with a derived value, two constraints and a conditional parameter."""
    space = Space("tiles")
    m, n, stages = space.add(pow2("M", 16, 64), pow2("N", 16, 64), int_range("STAGES", 1, 3))
    smem = space.derive("smem_bytes", (m + n) * 16 * stages * 2)
    space.require(smem <= 6144, "stages of both tiles must fit shared memory")
    split = space.add(choice("SPLIT", 1, 2))
    space.when(split > 1, space.add(choice("REDUCE", "atomic", "workspace")))
    space.require(m != n, "square tiles are another template's")
    return space


def brute_force() -> list[dict]:
    """The same space as nested loops."""
    found = []
    for m, n, stages, split in itertools.product((16, 32, 64), (16, 32, 64), (1, 2, 3), (1, 2)):
        if (m + n) * 16 * stages * 2 <= 6144 and m != n:
            base = {"M": m, "N": n, "STAGES": stages, "SPLIT": split}
            found += [base] if split == 1 else [{**base, "REDUCE": way} for way in ("atomic", "workspace")]
    return found


def test_enumeration_equals_nested_loops_in_their_order():
    """Same configs, same order, conditional parameters absent where they do not apply."""
    assert [dict(config) for config in tiles().on()] == brute_force()


def test_index_undoes_item():
    """Every position has one config and every config one position."""
    feasible = tiles().on()
    assert [feasible.index(config) for config in feasible] == list(range(len(feasible)))


def test_index_of_an_infeasible_config_says_which_constraint_and_both_numbers():
    """The reason and the numbers, not a ValueError."""
    with pytest.raises(SpaceError, match=r"must fit shared memory \(smem_bytes = 9,216 bytes > 6,144 bytes\)"):
        tiles().on().index({"M": 64, "N": 32, "STAGES": 3, "SPLIT": 1})


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"M": 24, "N": 16, "STAGES": 1, "SPLIT": 1}, "M=24 is not one of"),
        ({"M": 32, "N": 16, "STAGES": 1}, "SPLIT is missing"),
        ({"M": 32, "N": 16, "STAGES": 1, "SPLIT": 2}, "REDUCE is missing"),
        ({"M": 32, "N": 16, "STAGES": 1, "SPLIT": 1, "REDUCE": "atomic"}, "REDUCE is only there when"),
        ({"M": 32, "N": 16, "STAGES": 1, "SPLIT": 1, "X": 1}, "X is not a parameter"),
        ({"M": 32, "N": 16, "STAGES": 1, "SPLIT": 1}, "it is feasible"),
    ],
)
def test_explain_names_what_is_off(config, why):
    """Each way to be outside the space has its own words."""
    assert why in tiles().on().explain(config)


def test_neighbours_differ_in_exactly_one_parameter_and_are_symmetric():
    """Hamming distance one, both ways."""
    feasible = tiles().on()
    for config in feasible:
        for other in feasible.neighbours(config):
            assert sum(config.get(name) != other.get(name) for name in {*config, *other}) == 1
            assert config in feasible.neighbours(other)


def test_samples_are_distinct_feasible_and_repeatable():
    """The same seed gives the same configs."""
    feasible = tiles().on()
    drawn = feasible.sample(np.random.default_rng(3), 10)
    assert len(set(drawn)) == 10
    assert all(config in feasible for config in drawn)
    assert drawn == feasible.sample(np.random.default_rng(3), 10)


def test_bind_adds_the_derived_values():
    """Templates read derived values beside the parameters."""
    feasible = tiles().on()
    assert feasible.bind({"M": 32, "N": 16, "STAGES": 2, "SPLIT": 1})["smem_bytes"] == 3072


def test_an_empty_space_names_the_constraint_that_left_nothing():
    """Zero configs is an answer with a reason."""
    space = Space("none")
    block = space.add(pow2("BLOCK", 16, 64))
    space.require(block > 64, "blocks must be huge")
    feasible = space.on()
    assert (len(feasible), feasible.emptied_by) == (0, "blocks must be huge")


def test_the_digest_changes_with_meaning_and_not_with_reasons():
    """A reworded reason keeps stored times; another limit does not."""

    def space(limit: int, reason: str) -> Space:
        made = Space("s")
        made.require(made.add(pow2("B", 1, 64)) <= limit, reason)
        return made

    assert space(32, "fits").digest == space(32, "must fit").digest
    assert space(32, "fits").digest != space(16, "fits").digest


def test_a_name_is_defined_once():
    """A second parameter of the same name would silently replace the first."""
    space = Space("s")
    space.add(flag("A"))
    with pytest.raises(SpaceError, match="A is defined twice"):
        space.add(flag("A"))


def test_a_condition_on_a_later_parameter_is_refused():
    """Conditions are read while the table grows, in order of declaration."""
    space = Space("s")
    a, b = space.add(flag("A"), flag("B"))
    space.when(b == True, a)  # noqa: E712 -- an expression, not a comparison
    with pytest.raises(SpaceError, match="add B before it"):
        space.on()


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    divisors=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3)), max_size=4),
)
def test_any_space_equals_its_brute_force(sizes, divisors):
    """Random divisibility constraints: the same set as the product filtered by hand."""
    space = Space("random")
    symbols = [space.add(choice(f"p{i}", *range(1, size + 1))) for i, size in enumerate(sizes)]
    rules = [(a % len(sizes), b % len(sizes), c) for a, b, c in divisors]
    for a, b, c in rules:
        space.require((symbols[a] + c) % symbols[b] == 0, "divides")
    product = itertools.product(*(range(1, size + 1) for size in sizes))
    expected = [values for values in product if all((values[a] + c) % values[b] == 0 for a, b, c in rules)]
    assert [tuple(config.values()) for config in space.on()] == expected


def test_the_nearest_feasible_config_stands_for_one_that_is_not():
    """Few steps of ordered values; a feasible config is its own nearest."""
    feasible = tiles().on()
    near = feasible.nearest({"M": 64, "N": 32, "STAGES": 3, "SPLIT": 1})
    assert dict(near) == {"M": 64, "N": 32, "STAGES": 2, "SPLIT": 1}
    assert all(feasible.nearest(config) == config for config in feasible)
    with pytest.raises(SpaceError, match="M=1 is not one of"):
        feasible.nearest({"M": 1})


def test_a_constraint_does_not_apply_where_a_parameter_it_reads_is_absent():
    """A rule about how to reduce says nothing about configs that reduce nothing."""
    space = Space("s")
    split = space.add(choice("SPLIT", 1, 2))
    reduce = space.add(choice("REDUCE", "atomic", "workspace"))
    space.when(split > 1, reduce)
    space.require(reduce == "workspace", "atomics are not wanted")
    assert [dict(config) for config in space.on()] == [{"SPLIT": 1}, {"SPLIT": 2, "REDUCE": "workspace"}]
