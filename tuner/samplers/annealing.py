"""Simulated annealing over feasible configs, as Kernel Tuner has it: one walker, small steps, cooled by the trial.

Method: Kirkpatrick, Gelatt and Vecchi 1983, and B. van Werkhoven, Future Generation Computer Systems 90, 2019, whose
temperatures and restart these are. A step onto a row whose time is known costs no trial.
"""

from __future__ import annotations

import math

from .moves import Moves
from .row_sampler import RowSampler
from .rows import Rows

HOT, COLD = 0.1, 1e-4
"""Temperatures, as the share by which a step may be slower: at 0.1, a config 10 % slower is taken with odds 1/e."""

COOLING_TRIALS = 150
"""Trials from hot to cold: three quarters of the default budget of 200, as published for a budget that is known."""

STUCK_STEPS = 100
"""So many steps in a row that lead to nothing new begin a new walk."""

JUMP_ODDS = 0.8
"""Of a step that changes one parameter to any value, not several to neighbouring values. Kernel Tuner's step may change
most of them at once: that reached .90 of the optimum in 200 trials where this reaches .97 (mean of four recorded
spaces, 20 seeds, 2026-11-22). The best of some fifteen variants on those four, which flatter it."""


class AnnealingRows(RowSampler):
    """The walk goes on from where it stands once the time of a proposed row is told."""

    def __init__(self, rows: Rows, seed: int) -> None:
        super().__init__(rows, seed)
        self._moves = Moves(rows.feasible)
        self._at: int | None = None
        self._open: list[int] = []  # proposed and not weighed yet
        self._begun: int | None = None  # the row a new walk starts at

    def choose(self) -> int:
        for row in [row for row in self._open if row in self.rows.results]:
            self._open.remove(row)
            self._weigh(row)
        if self._at is None and self.rows.results:  # what is known from before is a better start than chance
            self._at = min(self.rows.results, key=self._us)
        walked = None if self._at is None else self._walked()
        if walked is None:
            walked = self._begun = self.rows.random()
        self._open.append(walked)
        return walked

    def _walked(self) -> int | None:
        """The first unseen row on the walk; None where it is stuck."""
        for _ in range(STUCK_STEPS):
            row = self._step()
            if not self.rows.is_seen(row):
                return row
            if row in self.rows.results:
                self._weigh(row)
        return None

    def _step(self) -> int:
        """A row near the walker; its own where nothing is near."""
        assert self._at is not None
        jumps = self.rng.random() < JUMP_ODDS
        near = self._moves.one_changed(self._at) if jumps else self._moves.adjacent(self._at)
        return int(self.rng.choice(near)) if len(near) else self._at

    def _weigh(self, row: int) -> None:
        """Go to a row whose time is known, or stay."""
        if self._at is None or row == self._begun or self.rng.random() < self._odds(self._us(row)):
            self._at = row
        if row == self._begun:
            self._begun = None

    def _odds(self, us: float) -> float:
        """Of a step to a config of this time: certain if it is faster, never if it failed."""
        assert self._at is not None
        here_us = self._us(self._at)
        if us == math.inf:
            return float(here_us == math.inf)
        return 1.0 if us < here_us else math.exp((1 - us / here_us) / self._temperature)

    @property
    def _temperature(self) -> float:
        return max(COLD, HOT * math.pow(COLD / HOT, len(self.rows.results) / COOLING_TRIALS))

    def _us(self, row: int) -> float:
        us = self.rows.results[row]
        return math.inf if us is None else us
