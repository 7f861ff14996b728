"""Who wins a playoff."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kerntune.tuner.winner import TIE_BAND, Lag, ratio, told_apart, winner

ROUNDS = st.integers(3, 12).flatmap(
    lambda count: st.dictionaries(
        st.sampled_from("abcdef"), st.lists(st.floats(1.0, 1.1), min_size=count, max_size=count), min_size=1
    )
)


def digests_of(rounds):
    """Digests that sort against the names."""
    return {name: chr(ord("z") - ord(name[0]) + ord("a")) * 3 for name in rounds}


def noisy(us, rng, count=12, noise=0.01, common=None):
    """Rounds of a contender whose true time is `us`, in whatever state each round found the machine."""
    drift = np.ones(count) if common is None else common
    return list(us * drift * np.exp(noise * rng.standard_normal(count)))


@given(ROUNDS, st.randoms(use_true_random=False))
def test_the_order_of_contenders_changes_nothing(rounds, random):
    """The same data give the same winner."""
    names = list(rounds)
    random.shuffle(names)
    assert winner({name: rounds[name] for name in names}, digests_of(rounds)) == winner(rounds, digests_of(rounds))


@given(ROUNDS, st.floats(0.1, 1000))
def test_the_unit_changes_nothing_and_the_winner_is_never_far_behind(rounds, scale):
    """Nobody is beaten in the median of paired rounds by more than the band; the confidence is a probability."""
    found = winner(rounds, digests_of(rounds))
    scaled = {name: [scale * us for us in taken] for name, taken in rounds.items()}
    assert found.name == winner(scaled, digests_of(rounds)).name
    assert found.name not in found.tied_with
    assert 0 <= found.confidence <= 1


def test_a_clear_winner_wins_whatever_its_digest():
    """Three percent are no tie, and twelve rounds of twelve leave little doubt."""
    rng = np.random.default_rng(0)
    rounds = {"slow": noisy(10.3, rng, noise=0.003), "fast": noisy(10.0, rng, noise=0.003)}
    found = winner(rounds, {"slow": "a", "fast": "b"})
    assert (found.name, found.tied_with) == ("fast", ())
    assert found.confidence > 0.999


def test_inside_the_band_the_smallest_digest_decides():
    """A quarter of a percent is no difference that the next run would see again."""
    rounds = {"one": [10.0, 10.1, 10.2], "two": [10.025, 10.125, 10.225], "far": [11.0, 11.1, 11.2]}
    found = winner(rounds, {"one": "b", "two": "a", "far": "0"})
    assert (found.name, found.tied_with, found.confidence) == ("two", ("one",), 0.875)
    assert winner(rounds, {"one": "a", "two": "b", "far": "0"}).name == "one"


def test_a_tie_gives_away_one_percent_at_most():
    """However noisy the rounds, a contender further behind is beaten."""
    assert not Lag(behind=1.01 * TIE_BAND, error=0.5).is_tie
    assert Lag(behind=0.99 * TIE_BAND, error=0.5).is_tie
    assert not Lag(behind=0.006, error=0.0005).is_tie  # a quiet machine sees it


def test_what_a_round_had_in_common_cancels():
    """Between rounds the clock moves by 10 %; contenders 3 % apart are told apart all the same."""
    rng = np.random.default_rng(1)
    drift = 1 + 0.1 * rng.random(12)
    rounds = {"slow": noisy(10.3, rng, noise=0.002, common=drift), "fast": noisy(10.0, rng, noise=0.002, common=drift)}
    assert winner(rounds, {"slow": "a", "fast": "b"}).name == "fast"
    assert told_apart(rounds)


@pytest.mark.parametrize("noise", [0.001, 0.003, 0.006, 0.01])
@pytest.mark.parametrize("smaller", ["fast", "slow"])
def test_two_configs_a_third_of_a_percent_apart_give_the_same_winner_again_and_again(noise, smaller):
    """At least 95 of 100 playoffs, from a quiet GPU to a restless processor; rounds go on until it is settled."""
    digests = {"fast": "b", "slow": "b", smaller: "a"}
    chosen = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        drift = np.exp(0.02 * rng.standard_normal(40))
        whole = {"fast": noisy(10.0, rng, 40, noise, drift), "slow": noisy(10.03, rng, 40, noise, drift)}
        for count in range(6, 41):
            rounds = {name: taken[:count] for name, taken in whole.items()}
            if told_apart(rounds):
                break
        chosen.append(winner(rounds, digests).name)
    assert max(chosen.count("fast"), chosen.count("slow")) >= 95


def test_rounds_that_overlap_are_not_told_apart():
    """More of them are asked for while there is time."""
    rng = np.random.default_rng(2)
    assert not told_apart({"one": noisy(10.0, rng, 6, 0.02), "two": noisy(10.1, rng, 6, 0.02)})
    assert told_apart({"alone": [10.0, 10.1]})


def test_a_ratio_is_of_paired_rounds_with_its_interval():
    """Drift moves both times and not their ratio; fewer than six rounds bound nothing."""
    theirs, ours = [11.0, 12.1, 13.2, 22.0, 11.0, 11.0], [10.0, 11.0, 12.0, 20.0, 10.0, 10.0]
    found = ratio(theirs, ours)
    assert found.median == pytest.approx(1.1)
    assert found.interval == pytest.approx((1.1, 1.1))
    assert ratio(theirs[:5], ours[:5]).interval is None
