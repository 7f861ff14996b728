"""Rules: constraints and conditions with everything bound but the parameters, as the diagrams are built from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import Column, truth, values_column
from .expressions import Expr, Value

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Domain:
    """What one parameter may be in a diagram: its values by index and, where it is conditional, absent after them."""

    name: str
    values: tuple[Value, ...]
    conditional: bool

    @property
    def size(self) -> int:
        return len(self.values) + self.conditional

    @cached_property
    def column(self) -> Column:
        return values_column(self.values)


@dataclass(frozen=True, eq=False)
class Rule:
    """What must hold among parameters at `positions` (ascending), whose domains are `domains`.

    A constraint applies where all it reads are there. A condition, with the parameter it `decides` as a position too,
    holds where that parameter is there exactly if the expression is true; what reads an absent parameter is false.
    """

    expression: Expr
    positions: tuple[int, ...]
    domains: tuple[Domain, ...]
    decides: int | None = None
    source: int | None = None  # the constraint's place in its declaration

    @property
    def cells(self) -> int:
        """Combinations of the domains."""
        return math.prod(domain.size for domain in self.domains)

    @cached_property
    def table(self) -> Mask:
        """Truth for every combination of the domains, one axis a position. Raises: SpaceError if one fails."""
        read = [(axis, domain) for axis, domain in enumerate(self.domains) if self.positions[axis] != self.decides]
        env: dict[str, Column] = {}
        for axis, domain in read:
            shape = [1] * len(self.domains)
            shape[axis] = len(domain.values)
            env[domain.name] = domain.column.reshape(shape)
        held = np.full([domain.size for domain in self.domains], self.decides is None)
        present = tuple(
            slice(len(domain.values)) if self.positions[axis] != self.decides else slice(None)
            for axis, domain in enumerate(self.domains)
        )
        held[present] = truth(self._evaluate(env))
        if self.decides is not None:
            held ^= np.arange(held.shape[-1]) == held.shape[-1] - 1
        return held

    def of_pairs(self, indices: Mapping[int, NDArray[Any]]) -> Mask:
        """Truth for each row of value indices (position -> index), where the table would be too large or fails."""
        read = [pair for pair in zip(self.positions, self.domains, strict=True) if pair[0] != self.decides]
        count = len(indices[self.positions[0]])
        present = np.ones(count, dtype=bool)
        for position, domain in read:
            present &= indices[position] < len(domain.values)
        env = {domain.name: domain.column[indices[position][present]] for position, domain in read}
        held = np.full(count, self.decides is None)
        if present.any():
            held[present] = truth(self._evaluate(env))
        if self.decides is not None:
            absent = indices[self.decides] == len(self.domains[self.positions.index(self.decides)].values)
            held ^= absent
        return held

    def _evaluate(self, env: Mapping[str, Column]) -> Column:
        with np.errstate(all="ignore"):  # as Python: an overflowing float is infinite, without a warning
            return self.expression.value(env)
