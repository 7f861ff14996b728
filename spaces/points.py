"""Points: how configs and rows of value indices correspond, and what a model or a distance makes of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config import Config
from .parameters import Parameter
from .rules import Domain

ABSENT = -1
"""Value index of a conditional parameter where it does not apply; inside a diagram it is one past the last value."""

IndexTable = NDArray[np.signedinteger[Any]]


class Points:
    """Translates for the parameters of one space. Immutable."""

    def __init__(self, parameters: Sequence[Parameter], domains: Sequence[Domain]) -> None:
        self._parameters, self._domains = parameters, domains
        self._places = {parameter.name: place for place, parameter in enumerate(parameters)}
        self._past = np.array([len(parameter.values) for parameter in parameters], dtype=np.int64)

    def row(self, config: Mapping[str, Any]) -> IndexTable | None:
        """Value indices of a config, that of a missing parameter one past its last; None for what is unknown."""
        row = self._past.copy()
        for name, value in config.items():
            place = self._places.get(name)
            if place is None or not isinstance(value, int | float | str):
                return None
            index = self._parameters[place].places.get(value)
            if index is None:
                return None
            row[place] = index
        return row

    def configs(self, rows: IndexTable) -> list[Config]:
        """The configs of rows, absence one past the last value."""
        columns = [[(*p.values, None)[i] for i in rows[:, place]] for place, p in enumerate(self._parameters)]
        points = zip(*columns, strict=True) if columns else [()] * len(rows)
        named = (zip(self._places, values, strict=True) for values in points)
        if not any(domain.conditional for domain in self._domains):
            return [Config(dict(pairs)) for pairs in named]
        return [Config({name: value for name, value in pairs if value is not None}) for pairs in named]

    def outside(self, rows: IndexTable) -> IndexTable:
        """The same rows, in place, with absence as -1."""
        for place, domain in enumerate(self._domains):
            if domain.conditional:
                column = rows[:, place]
                column[column == len(domain.values)] = ABSENT
        return rows

    def inside(self, indices: NDArray[np.integer[Any]]) -> IndexTable:
        """One row with absence as a diagram has it."""
        inside: IndexTable = np.where(indices == ABSENT, self._past, indices)
        return inside

    def costs(self, row: IndexTable) -> list[NDArray[np.float64]]:
        """By parameter, how far each value index is from that of the row; absence is the last index."""
        costs = []
        for parameter, index in zip(self._parameters, row, strict=True):
            cost = np.ones(len(parameter.values) + 1)
            if index < len(parameter.values):
                cost[:-1] = parameter.steps_from(int(index))
            else:
                cost[-1] = 0.0
            costs.append(cost)
        return costs

    def encoded(self, rows: IndexTable) -> NDArray[np.float32]:
        """Numbers a model reads for rows with absence as -1 [rows, features]; NaN where a parameter is absent."""
        missing = [np.full((1, len(p.features)), np.nan) for p in self._parameters]
        tables = [np.concatenate((p.encoding, gap)) for p, gap in zip(self._parameters, missing, strict=True)]
        columns = [table[rows[:, place]] for place, table in enumerate(tables)]  # -1 is the last row
        return np.concatenate(columns, axis=1, dtype=np.float32)
