"""Schedule: which of many problems is searched next, so that a total of weighted times falls fastest. Pure.

The idea is Ansor's task scheduler (Zheng et al., OSDI 2020, section 6): the next slice goes where the total is expected
to fall most per second. What a slice gains is foretold otherwise: from how searches usually go on, and from what the
sampler says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

USUAL_GAP, USUAL_START = 3.0, 4.0
"""After n trials a best is usually 3 / (n + 4) above the best of 300, as a logarithm: .60 after 1, .11 after 24, .03
after 100 (mean of `ranked` on ten recorded spaces, 20 seeds, 2026-11-23: .72, .12, .017). How a search went so far says
little of how it goes on; before 50 trials, nothing."""

SAMPLER_SHARE = 0.4
"""Power by which what the sampler expects corrects that: where it expects a fourth, .57 of the usual is foretold."""

LEAST_EXPECTED = 1e-4
"""A model that expects nothing is not believed to the end."""

PATIENCE = 80
"""Trials in a row without a better best after which a problem has converged."""

FIRST_TRIALS, GROWTH = 4, 0.5
"""Trials of the first slice, and of a further one as a share of those made: later trials gain less."""

SWITCH_SHARE = 0.12
"""Most of a slice that opening the device for it may take, where the time allows."""

LEAST_SWITCHES = 4
"""Times as long as a switch that a slice lasts, however short the time is."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the search for one problem is."""

    weighted_us: float  # weight × the best so far; where nothing ran, × what is guessed
    trials: int
    trial_s: float  # one trial takes about so long here
    expected_gain: float | None = None  # by the sampler: share by which its next config may beat the best


@dataclass(frozen=True, slots=True)
class Slice:
    """What is done next: trials for the problem at this place of the list."""

    place: int
    trials: int
    planned_s: float  # with the switch


def next_slice(standings: Sequence[Standing], switch_s: float, left_s: float = math.inf) -> Slice:
    """The slice by which the total is expected to fall fastest.

    Where half of the time left holds a first slice for each problem that has had none, those come before, the largest
    first: a short budget serves what matters, a longer one leaves nothing out. `switch_s`: opening the device.
    """
    most_s = max(left_s / (2 * len(standings)), LEAST_SWITCHES * switch_s)
    slices = [_planned(place, standing, switch_s, most_s) for place, standing in enumerate(standings)]
    first = [planned for planned in slices if not standings[planned.place].trials]
    if first and sum(planned.planned_s for planned in first) <= left_s / 2:
        return max(first, key=lambda planned: standings[planned.place].weighted_us)
    return max(slices, key=lambda planned: _fall_per_s(standings[planned.place], planned))


def _planned(place: int, standing: Standing, switch_s: float, most_s: float) -> Slice:
    """As many trials as make up for the switch, more the further the problem is, in `most_s` at most."""
    worth_it = switch_s * (1 / SWITCH_SHARE - 1) / standing.trial_s
    wanted = max(FIRST_TRIALS, GROWTH * standing.trials, worth_it)
    trials = math.ceil(min(wanted, max(1.0, most_s / standing.trial_s)))
    return Slice(place, trials, trials * standing.trial_s + switch_s)


def _fall_per_s(standing: Standing, planned: Slice) -> float:
    """Weighted µs that a slice is expected to bring, by the second."""
    gain = 1 - math.exp(-foretold(standing.trials, planned.trials, standing.expected_gain))
    return standing.weighted_us * gain / planned.planned_s


def foretold(done: int, more: int, expected_gain: float | None = None) -> float:
    """By how much the best falls in `more` trials after `done`, as a difference of logarithms."""
    usual = USUAL_GAP / (done + USUAL_START) - USUAL_GAP / (done + more + USUAL_START)
    if expected_gain is None:
        return usual
    return math.pow(usual, 1 - SAMPLER_SHARE) * math.pow(max(expected_gain, LEAST_EXPECTED), SAMPLER_SHARE)
