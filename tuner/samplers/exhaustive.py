"""Exhaustive search: every feasible config, in the order of nested loops."""

from __future__ import annotations

from .row_sampler import RowSampler


class ExhaustiveRows(RowSampler):
    """The first unseen row; chance has no part in it."""

    _next = 0

    def choose(self) -> int:
        while self.rows.is_seen(self._next):
            self._next += 1
        return self._next
