"""Spaces too large to list: counted exactly, indexed, and sampled uniformly, within a memory budget."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from collections import Counter

import numpy as np
import oracle
import pytest
from kerntune.spaces import Space, choice, int_range, pow2
from kerntune.spaces.drawing import distinct_below
from kerntune.spaces.errors import SpaceTooLarge


def chain(links: int) -> Space:
    """Powers of two, each a divisor of the next."""
    space = Space("chain")
    symbols = [space.add(pow2(f"x{place}", 1, 512)) for place in range(links)]
    for smaller, larger in itertools.pairwise(symbols):
        space.require(larger % smaller == 0, "each divides the next")
    return space


def pairs(count: int) -> Space:
    """Ten values a parameter; both of a pair are even or both are odd."""
    space = Space("pairs")
    symbols = [space.add(int_range(f"x{place}", 0, 9)) for place in range(2 * count)]
    for one, other in zip(symbols[::2], symbols[1::2], strict=True):
        space.require((one + other) % 2 == 0, "pairs agree")
    return space


def distant_pairs(count: int, high: int) -> Space:
    """The members of a pair stand far apart, and the last parameter takes part in every pair."""
    space = Space("distant")
    symbols = [space.add(int_range(f"x{place}", 0, high)) for place in range(2 * count)]
    divisor = space.add(int_range("divisor", 1, 4))
    for one, other in zip(symbols[:count], symbols[count:], strict=True):
        space.require((one + other) % divisor == 0, "pairs agree")
    return space


def chi_square_is_plausible(counts: list[int], expected: float) -> bool:
    """Pearson's statistic is below its 99.9 % quantile (Wilson and Hilferty's approximation)."""
    freedom = len(counts) - 1
    statistic = sum((count - expected) ** 2 / expected for count in counts)
    return statistic < freedom * (1 - 2 / (9 * freedom) + 3.09 * math.sqrt(2 / (9 * freedom))) ** 3


def test_a_chain_of_linked_parameters_is_counted_exactly():
    """Ascending sequences of 20 of 10 exponents, of 10^20 combinations: a binomial."""
    feasible = chain(20).on()
    assert feasible.cartesian == 10**20
    assert feasible.total == math.comb(29, 9)


@pytest.mark.parametrize("place", [0, 1, 123_456_789_012_345_678_901, 50**25 - 1, -1])
def test_positions_past_64_bits_have_their_config(place):
    """Python's own integers take over where numpy's end."""
    feasible = pairs(25).on()
    assert feasible.total == 50**25
    config = feasible[place]
    assert feasible.index(config) == place % feasible.total
    assert all((config[f"x{i}"] + config[f"x{i + 1}"]) % 2 == 0 for i in range(0, 50, 2))


def test_a_position_is_the_number_of_configs_before_it():
    """Mixed radix, by hand: 50 configs a pair, the last pair moving fastest."""
    feasible = pairs(3).on()
    first, second, third = 7, 49, 23
    config = feasible[(first * 50 + second) * 50 + third]
    pair = [(one, other) for one in range(10) for other in range(10) if (one + other) % 2 == 0]
    assert tuple(config.values()) == (*pair[first], *pair[second], *pair[third])


def test_samples_of_a_space_of_10_to_the_15_are_uniform_in_every_pair():
    """Each of the 50 values of every pair comes as often as the others."""
    feasible = pairs(7).on()
    drawn = feasible.sample(np.random.default_rng(7), 20_000)
    assert len(set(drawn)) == len(drawn)
    for place in range(0, 14, 2):
        counts = Counter((config[f"x{place}"], config[f"x{place + 1}"]) for config in drawn)
        assert len(counts) == 50
        assert chi_square_is_plausible(list(counts.values()), 20_000 / 50)


def test_draws_below_a_count_past_64_bits_are_uniform_and_below_it():
    """A count just above a power of two, where half of the raw draws fall outside."""
    count = 2**70 + 12345
    drawn = distinct_below(np.random.default_rng(3), count, 4_000)
    assert len(set(drawn)) == 4_000
    assert 0 <= min(drawn) <= max(drawn) < count
    assert chi_square_is_plausible(list(Counter(number * 20 // count for number in drawn).values()), 4_000 / 20)


def test_samples_of_a_linked_space_are_uniform_over_its_configs():
    """Not over branches: a first value with many completions comes more often."""
    space = Space("skewed")
    rows, columns = space.add(int_range("ROWS", 1, 12), int_range("COLUMNS", 1, 12))
    space.require(rows * columns <= 24, "the tile is small")
    split = space.add(choice("SPLIT", 1, 2))
    space.when(split > 1, space.add(choice("REDUCE", "atomic", "workspace")))
    feasible, rng = space.on(), np.random.default_rng(11)
    counts = Counter(feasible.sample(rng, 1)[0] for _ in range(6_000))
    assert chi_square_is_plausible([counts[config] for config in feasible], 6_000 / feasible.total)


def test_drawing_more_than_there_is_gives_everything_once():
    """Shuffled, not repeated."""
    feasible = pairs(1).on()
    assert sorted(map(repr, feasible.sample(np.random.default_rng(0), 80))) == sorted(map(repr, feasible))


def test_a_product_over_many_parameters_keeps_products_and_not_their_factors():
    """2^30 combinations under one limit: the states are the distinct products."""
    space = Space("threads")
    symbols = [space.add(pow2(f"x{place}", 1, 128)) for place in range(10)]
    space.require(math.prod(symbols) <= 1024, "threads of a block")
    ways = Counter({0: 1})  # exponent of the product -> how many choices have it
    for _ in symbols:
        ways = Counter({e: sum(ways[e - own] for own in range(8)) for e in range(max(ways) + 8)})
    feasible = space.on(memory_bytes=1 << 20)
    assert feasible.total == sum(count for exponent, count in ways.items() if exponent <= 10)


def test_what_is_remembered_may_have_more_combinations_than_64_bits():
    """Twelve values of 64 each are told apart, the first one too."""
    space = Space("remembered")
    remembered = []
    for place in range(12):
        value, parity = space.add(int_range(f"x{place}", 0, 63), int_range(f"parity{place}", 0, 1))
        space.require((value + parity) % 2 == 0, "the parity of the value")
        if place > 1:
            space.require(value == remembered[1], "all but the first are the same")
        remembered.append(value)
    last = space.add(int_range("last", 0, 63))
    for value in remembered:
        space.require(last >= value, "none is larger than the last")
    assert space.on().total == sum(64 - max(one, other) for one in range(64) for other in range(64))


def test_a_space_too_wide_for_the_budget_is_refused_with_what_to_do():
    """In little memory and little time, naming the parameter at which it grew too wide."""
    space = Space("dense")
    symbols = [space.add(int_range(f"x{place}", 1, 50)) for place in range(12)]
    for place, symbol in enumerate(symbols):
        space.require(sum(other**2 * (i + place + 2) for i, other in enumerate(symbols)) % 97 != symbol, "dense")
    tracemalloc.start()
    with pytest.raises(SpaceTooLarge, match=r"dense needs more than 16 MiB \(x\d+: .* edges.*memory_bytes="):
        space.on(memory_bytes=16 << 20)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 48 << 20


def test_a_list_past_the_budget_is_refused_and_the_space_still_works():
    """Nothing is listed to count, index or sample."""
    feasible = pairs(4).on(memory_bytes=1 << 20)
    with pytest.raises(SpaceTooLarge, match=r"6,250,000 configs of space pairs make a list of more than 1 MiB"):
        feasible.matrix()
    assert feasible.index(feasible[5_000_000]) == 5_000_000


def test_another_order_is_taken_where_only_that_one_fits():
    """Its configs are the same, its loops nest differently, and it says how."""
    space = distant_pairs(3, 3)
    declared, reordered = space.on(), space.on(memory_bytes=30_000)
    assert declared.order == ("x0", "x1", "x2", "x3", "x4", "x5", "divisor")
    assert reordered.order[0] == "divisor"
    assert {tuple(sorted(config.items())) for config in reordered} == {tuple(sorted(c.items())) for c in declared}
    assert all(reordered.index(reordered[place]) == place for place in range(0, reordered.total, 97))
    assert sorted(reordered.order) == sorted(declared.order)


def test_pairs_that_stand_far_apart_are_counted_all_the_same():
    """In declared order ten parameters would have to be remembered."""
    pairs_by_divisor = [sum((a + b) % d == 0 for a in range(8) for b in range(8)) for d in (1, 2, 3, 4)]
    feasible = distant_pairs(10, 7).on(memory_bytes=64 << 20)
    assert feasible.total == sum(count**10 for count in pairs_by_divisor)


def test_a_condition_keeps_its_parameter_behind_it_in_any_order():
    """A conditional parameter is never decided before what decides it."""
    space = distant_pairs(3, 3)
    divisor = space.add(int_range("more", 0, 2))
    space.when(divisor > 1, space.add(choice("extra", "a", "b")))
    reordered = space.on(memory_bytes=30_000)
    assert reordered.order.index("extra") > reordered.order.index("more")
    assert reordered.total == space.on().total == sum(1 for _ in oracle.configs(distant_pairs(3, 3).declaration)) * 4
