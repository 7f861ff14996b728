"""Whose turn it is: guesses first, every template in turn, and those that are far behind more rarely."""

import math
from dataclasses import dataclass
from itertools import islice

import pytest
from kerntune.tuner.lanes import LEAST_SHARE, picks


@dataclass(frozen=True)
class ATemplate:
    digest: str


class ALane:
    """Of rows 0, 1, 2 …, of which the first are guesses."""

    def __init__(self, name, guesses=2, rows=1000):
        self.template, self.feasible, self.sampler = ATemplate(name), range(rows), self
        self.first = tuple(range(guesses))
        self._taken = set()

    def claim(self, row):
        return row not in self._taken and not self._taken.add(row)

    def ask(self):
        left = [row for row in self.feasible if row not in self._taken]
        return left[0] if left and self.claim(left[0]) else None


def turns(best_us, count, lanes=None):
    lanes = lanes or [ALane(name) for name in best_us]
    return [(pick.lane.template.digest, pick.row) for pick in islice(picks(lanes, best_us), count)]


def test_the_best_guess_of_every_template_comes_first():
    """Nothing is known yet: all are as good."""
    unknown = dict.fromkeys("abc", math.inf)
    assert turns(unknown, 6) == [("a", 0), ("b", 0), ("c", 0), ("a", 1), ("b", 1), ("c", 1)]


@pytest.mark.parametrize(("behind", "share"), [(1.0, 1.0), (1.1, math.exp(-1)), (3.0, LEAST_SHARE)])
def test_who_is_behind_has_its_turn_more_rarely(behind, share):
    """Ten percent behind: 1/e as often; far behind: still now and then."""
    drawn = [name for name, _ in turns({"a": 100.0, "b": 100.0 * behind}, 900)]
    assert drawn.count("b") / drawn.count("a") == pytest.approx(share, rel=0.05)


def test_what_is_learnt_meanwhile_counts_from_the_next_turn_on():
    """The times are read anew at each turn."""
    best_us = dict.fromkeys("ab", math.inf)
    going = picks([ALane("a"), ALane("b")], best_us)
    first = [next(going).lane.template.digest for _ in range(10)]
    best_us.update(a=10.0, b=100.0)
    then = [next(going).lane.template.digest for _ in range(50)]
    assert first.count("b") == 5
    assert then.count("b") <= 5


def test_a_template_that_is_exhausted_leaves_the_others_all_turns():
    """It ends when nothing is left of any."""
    lanes = [ALane("a", rows=3), ALane("b", rows=30)]
    drawn = turns({"a": 1.0, "b": 9.0}, 100, lanes)
    assert sorted(drawn) == sorted([("a", row) for row in range(3)] + [("b", row) for row in range(30)])
