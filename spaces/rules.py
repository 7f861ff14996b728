"""Rules: constraints and conditions with everything bound but the parameters, as the diagrams are built from them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import Column, truth, values_column
from .errors import SpaceError
from .expressions import Env, Expr, Value

Mask = NDArray[np.bool_]


MAX_TABLE_CELLS = 1 << 18
"""Combinations up to which the truth of a rule that cannot be folded is kept as a table: 2 MiB while it is made."""


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

    @property
    def index_dtype(self) -> type[np.signedinteger[Any]]:
        """The smallest integers that hold every index."""
        return np.int8 if self.size <= 127 else np.int16 if self.size <= 32_767 else np.int32


@dataclass(frozen=True, eq=False)
class Rule:
    """What must hold among parameters at `positions` (ascending), whose domains are `domains`.

    A constraint applies where all it reads are there. A condition decides the last of its parameters: that one is there
    exactly where the expression is true; what reads an absent parameter is false.
    """

    expression: Expr
    positions: tuple[int, ...]
    domains: tuple[Domain, ...]
    source: int | None = None
    """The constraint's place in its declaration; None for a condition."""

    @property
    def read(self) -> tuple[Domain, ...]:
        """Domains that the expression reads."""
        return self.domains[:-1] if self.source is None else self.domains

    def reads_only(self, known: Collection[int]) -> bool:
        """Whether all its positions are among these."""
        return all(position in known for position in self.positions)

    @property
    def cells(self) -> int:
        """Combinations of the domains."""
        return math.prod(domain.size for domain in self.domains)

    @property
    def folds(self) -> bool:
        """Whether the expression alone decides: no condition, and nothing it reads can be absent."""
        return self.source is not None and not any(domain.conditional for domain in self.domains)

    @cached_property
    def table(self) -> Mask:
        """Truth for every combination of the domains, one axis each. Raises: SpaceError if one cannot be evaluated."""
        axes = np.ix_(*(np.arange(len(domain.values)) for domain in self.read))
        env = {domain.name: domain.column[axis] for domain, axis in zip(self.read, axes, strict=True)}
        held: Mask = np.full([domain.size for domain in self.domains], self.source is not None)
        there = tuple(slice(len(domain.values)) for domain in self.read)
        held[there] = self._spread(truth(self.evaluate(self.expression, env)))
        if self.source is None:
            held[..., -1] ^= True
        return held

    def _spread(self, held: Column) -> Column:
        return held[..., None] if self.source is None and np.ndim(held) else held

    @cached_property
    def table_or_none(self) -> Mask | None:
        """The table [nodes' combinations, values of the last domain]; None where it is too large or cannot be made.

        It may fail on combinations that another rule cuts.
        """
        if self.cells > MAX_TABLE_CELLS:
            return None
        try:
            return self.table.reshape(-1, self.domains[-1].size)
        except SpaceError:
            return None

    def of_pairs(self, indices: Mapping[str, NDArray[Any]]) -> Mask:
        """Truth for each row of value indices, by name of the parameter."""
        last = indices[self.domains[-1].name]
        there = np.ones(len(last), dtype=bool)
        for domain in self.read:
            there &= indices[domain.name] < len(domain.values)
        held = np.full(len(last), self.source is not None)
        if there.any():
            env = {domain.name: domain.column[indices[domain.name][there]] for domain in self.read}
            held[there] = truth(self.evaluate(self.expression, env))
        if self.source is None:
            held ^= last == len(self.domains[-1].values)
        return held

    @staticmethod
    def evaluate(expression: Expr, env: Env) -> Column:
        """The expression over columns; as in Python, an overflowing float is infinite without a warning."""
        with np.errstate(all="ignore"):
            return expression.value(env)
