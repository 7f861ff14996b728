"""Who won a playoff: paired rounds, a band in which times are equal, and a rule for those. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .intervals import median_error, median_interval

TIE_BAND = 0.01
"""The most that a tie may give away."""

SAME = 0.004
"""What is the same time from one run to the next: winners of repeated runs lie 0.3 % apart (docs/measured_facts.md)."""

Rounds = Sequence[float]
"""Median of one contender's block in each round, µs; entry n of every contender is of the same moment."""


@dataclass(frozen=True, slots=True)
class Winner:
    """The contender chosen, how sure it is that it beats whoever is not tied with it, and who is."""

    name: str
    confidence: float  # 0.5 is a coin; 1.0 where everybody else is tied
    tied_with: tuple[str, ...] = ()  # names, fastest first


@dataclass(frozen=True, slots=True)
class Ratio:
    """How much faster one contender is than another: median of the ratios of rounds, and its 95 % interval."""

    median: float
    interval: tuple[float, float] | None  # None where there are too few rounds


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a contender is behind another: log of the ratio of their times, paired by round."""

    behind: float
    error: float  # standard error

    @property
    def band(self) -> float:
        """Behind by no more is a tie: what repeated runs differ by and two standard errors, at most 1 %."""
        return min(TIE_BAND, SAME + 2 * self.error)

    @property
    def is_tie(self) -> bool:
        return self.behind <= self.band

    @property
    def is_settled(self) -> bool:
        """Whether further rounds would leave it on the side of the band where it is."""
        return abs(self.behind - self.band) >= 2 * self.error


def winner(rounds_by_contender: Mapping[str, Rounds], digests: Mapping[str, str]) -> Winner:
    """The winner: the fastest, or of those tied with it the one of the smallest digest.

    Each is compared with the fastest in rounds, so what a round had in common (clock, temperature) cancels. Inside the
    band the fixed rule decides, so that two runs of the same playoff choose the same config.
    """
    lags = _behind_the_fastest(rounds_by_contender, digests)
    tied = [name for name, lag in lags.items() if lag.is_tie]
    chosen = min(tied, key=lambda name: (digests[name], name))
    runner_up = next((name for name, lag in lags.items() if not lag.is_tie), None)
    sure = 1.0 if runner_up is None else _sure(rounds_by_contender[chosen], rounds_by_contender[runner_up])
    return Winner(chosen, sure, tuple(name for name in tied if name != chosen))


def told_apart(rounds_by_contender: Mapping[str, Rounds]) -> bool:
    """Whether it is settled of everybody if it is tied with the fastest or beaten."""
    lags = list(_behind_the_fastest(rounds_by_contender, {name: "" for name in rounds_by_contender}).values())
    return all(lag.is_settled for lag in lags[1:])


def ratio(theirs: Rounds, ours: Rounds) -> Ratio:
    """How much faster ours is, paired by round: 1.1 says that theirs takes 1.1 × as long."""
    ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
    interval = median_interval(ratios)
    return Ratio(statistics.median(ratios), interval if math.isfinite(interval[1]) else None)


def _behind_the_fastest(rounds: Mapping[str, Rounds], digests: Mapping[str, str]) -> dict[str, Lag]:
    """Every contender's lag, the fastest's own (nothing) first.

    The fastest is the one with the lowest median of its rounds, each taken relative to that round's own level.
    """
    logs = {name: [math.log(us) for us in taken] for name, taken in rounds.items()}
    levels = [statistics.fmean(column) for column in zip(*logs.values(), strict=True)]
    scores = {
        name: statistics.median(log - level for log, level in zip(taken, levels, strict=True))
        for name, taken in logs.items()
    }
    first = min(logs, key=lambda name: (scores[name], digests[name], name))
    lags = {name: _lag(logs[first], taken) for name, taken in logs.items() if name != first}
    return {first: Lag(0.0, 0.0)} | dict(sorted(lags.items(), key=lambda item: (item[1].behind, digests[item[0]])))


def _lag(first: Sequence[float], other: Sequence[float]) -> Lag:
    differences = [b - a for a, b in zip(first, other, strict=True)]
    return Lag(statistics.median(differences), median_error(differences))


def _sure(chosen: Rounds, rival: Rounds) -> float:
    """Confidence that the chosen one is the faster: one-sided sign test over rounds (Dixon and Mood, 1946)."""
    met = [a < b for a, b in zip(chosen, rival, strict=True) if a != b]
    if not met:
        return 0.5
    by_less = sum(math.comb(len(met), won) for won in range(sum(met)))
    return by_less / (1 << len(met))
