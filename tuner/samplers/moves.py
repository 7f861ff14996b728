"""Moves: rows a small change away from a row, for samplers that walk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...spaces.feasible import FeasibleSpace
from ...spaces.points import ABSENT
from .rows import LISTED_ROWS

Positions = NDArray[np.int64]


class Moves:
    """Neighbourhoods of one feasible space, found in its list where that fits memory."""

    def __init__(self, feasible: FeasibleSpace) -> None:
        self._feasible = feasible
        self._listed = feasible.total <= LISTED_ROWS

    def one_changed(self, row: int) -> Positions:
        """Rows that differ in exactly one parameter, by any value."""
        if not self._listed:
            return self._neighbours(row)
        table = self._feasible.matrix()
        differing = np.zeros(len(table), dtype=np.int16)
        for column, own in zip(table.T, table[row], strict=True):
            differing += column != own
        return np.flatnonzero(differing == 1)

    def adjacent(self, row: int) -> Positions:
        """Rows in which each parameter is the same or a step to a neighbouring value away; of a space that is not
        listed, those that differ in one parameter."""
        if not self._listed:
            return self._neighbours(row)
        table = self._feasible.matrix()
        near = np.ones(len(table), dtype=bool)
        near[row] = False
        for parameter, column, own in zip(self._feasible.parameters, table.T, table[row].tolist(), strict=True):
            if own != ABSENT:
                within = np.zeros(len(parameter.values) + 1, dtype=bool)
                within[[own, ABSENT, *parameter.neighbours_of(own)]] = True  # ABSENT is the last place
                near &= within[column]
        return np.flatnonzero(near)

    def _neighbours(self, row: int) -> Positions:
        found: Any = self._feasible.around(row)
        return np.array(found)
