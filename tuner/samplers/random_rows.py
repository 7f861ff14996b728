"""Random search: unseen feasible configs, uniformly."""

from __future__ import annotations

from .row_sampler import RowSampler


class RandomRows(RowSampler):
    """Any unseen row is as likely as any other."""

    def choose(self) -> int:
        return self.rows.random()
