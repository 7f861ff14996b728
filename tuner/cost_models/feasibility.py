"""Votes: the odds that a config runs, told by those near it that did or did not."""

from __future__ import annotations

import numpy as np

from .gaussian import Numbers, matern

PRIOR_WEIGHT = 0.5
"""Of what is expected without any vote, where a config's own vote weighs 1."""

REACH = 0.5
"""Part of the length scales of times: what fails is decided by limits, and a limit is sharp."""


class Votes:
    """Of tried configs, for each of a pool."""

    def __init__(self, pool: Numbers, scales: Numbers, expected: Numbers) -> None:
        """`expected`: odds at the pool before any vote."""
        self._pool, self._scales = pool, REACH * scales
        self._expected = expected
        self._waiting: list[tuple[Numbers, bool]] = []
        self._for, self._all = PRIOR_WEIGHT * expected, np.full(len(pool), PRIOR_WEIGHT)
        self._failed = False

    def add(self, point: Numbers, ran: bool) -> None:
        self._failed |= not ran
        self._waiting.append((point, ran))

    def odds(self) -> Numbers:
        """At the pool; what is expected as long as nothing failed, which costs nothing."""
        if not self._failed:
            return self._expected
        if self._waiting:
            points, ran = zip(*self._waiting, strict=True)
            near = matern(np.array(points), self._pool, self._scales)
            self._for = self._for + np.array(ran, dtype=float) @ near
            self._all = self._all + near.sum(0)
            self._waiting.clear()
        odds: Numbers = self._for / self._all
        return odds
