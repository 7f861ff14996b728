"""A genetic algorithm over feasible configs, as Kernel Tuner has one: generations, choice by rank, crossover, mutation.

Method: Holland 1975; in auto-tuning B. van Werkhoven, Future Generation Computer Systems 90, 2019. A child that is not
feasible is moved to the closest config that is; one whose time is known costs no trial. Population and odds of mutation
were the best of nine pairs on four recorded spaces (docs/measured_facts.md), on which it is therefore flattered.
"""

from __future__ import annotations

import math

from .moves import Moves
from .row_sampler import RowSampler
from .rows import Rows

POPULATION = 20

MUTATION_ODDS = 1 / 10
"""Of a child to change in one parameter."""

RANK_SKEW = 2.5
"""Parents are drawn by rank from Beta(1, 2.5): the best tenth of a generation is chosen with odds 0.23."""

STALE_GENERATIONS = 30
"""So many generations without anything new call in a row by chance."""


class GeneticRows(RowSampler):
    """A generation is bred from the one before once all of it was proposed; what is not told by then ranks last."""

    def __init__(self, rows: Rows, seed: int) -> None:
        super().__init__(rows, seed)
        self._moves = Moves(rows.feasible)
        self._size = max(2, min(POPULATION, rows.feasible.total // 2))
        self._generation: list[int] = []
        self._founding = self._size

    def choose(self) -> int:
        if self._founding:
            self._founding -= 1
            self._generation.append(self.rows.random())
            return self._generation[-1]
        for _ in range(STALE_GENERATIONS):
            for row in self._generation:
                if not self.rows.is_seen(row):
                    return row
            self._generation = self._bred()
        stranger = self.rows.random()
        self._generation[-1] = stranger
        return stranger

    def _bred(self) -> list[int]:
        """The next generation, each row once."""
        ranked = sorted(set(self._generation), key=self._us)
        bred: dict[int, None] = {}
        for _ in range(self._size * 4):
            for child in self._children(ranked):
                bred[child] = None
            if len(bred) >= self._size:
                break
        return list(bred)[: self._size]

    def _children(self, ranked: list[int]) -> list[int]:
        """Two rows made of two."""
        one, other = (self.rows.point(ranked[place]) for place in self._parents(len(ranked)))
        cut = int(self.rng.integers(len(one)))
        swapped = [{**one, **dict(list(other.items())[cut:])}, {**other, **dict(list(one.items())[cut:])}]
        return [self._mutated(self.rows.closest(point)) for point in swapped]

    def _parents(self, count: int) -> tuple[int, int]:
        places = (self.rng.beta(1.0, RANK_SKEW, size=2) * count).astype(int)
        while count > 1 and places[0] == places[1]:
            places[1] = int(self.rng.beta(1.0, RANK_SKEW) * count)
        return int(places[0]), int(places[1])

    def _mutated(self, row: int) -> int:
        if self.rng.random() >= MUTATION_ODDS:
            return row
        near = self._moves.one_changed(row)
        return int(self.rng.choice(near)) if len(near) else row

    def _us(self, row: int) -> float:
        us = self.rows.results.get(row)
        return math.inf if us is None else us
