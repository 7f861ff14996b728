"""Diagram: the feasible combinations of parameters that constraints link, as a decision diagram with counts.

A layer for each parameter, in order. A node of a layer stands for every choice of earlier parameters that what is
left of the constraints cannot tell apart, so the diagram is as large as what must be remembered, not as what it
holds: a chain of twenty linked parameters may have 10^20 combinations and has a few hundred nodes. Paths from the
root, in order, are the combinations in the order of nested loops.
Ordered multi-valued decision diagrams: Kam, Villa, Brayton, Sangiovanni-Vincentelli 1998.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .growth import Array, Budget, Growth
from .rules import Domain, Rule

INT64_BELOW = 1 << 62
"""Counts from here on are kept as Python integers."""


@dataclass(frozen=True)
class Layer:
    """Edges of one parameter, sorted by the node they leave and then by value; only those that lead somewhere."""

    position: int  # of the parameter in its space
    size: int  # of its domain
    first: Array  # [nodes + 1] where each node's edges begin
    value: Array  # [edges] value index
    child: Array  # [edges] node of the next layer
    before: Array  # [edges + 1] combinations under all edges before this one
    count: Array  # [nodes] combinations under each node

    @cached_property
    def keys(self) -> Array:
        """[edges] node and value as one ascending number, to find an edge by."""
        nodes = np.repeat(np.arange(len(self.count), dtype=np.int64), np.diff(self.first))
        return nodes * self.size + self.value


@dataclass(frozen=True)
class Diagram:
    """Layers in the order of their parameters; node 0 of the first is the root."""

    layers: tuple[Layer, ...]

    @property
    def count(self) -> int:
        """Combinations in all."""
        return int(self.layers[0].count[0])


def free(position: int, domain: Domain) -> Diagram:
    """The diagram of a parameter that no rule reads: what `build` gives, without its steps."""
    size = domain.size
    value, before = np.arange(size, dtype=domain.index_dtype), np.arange(size + 1, dtype=np.int64)
    first, child = before[[0, -1]], np.zeros(size, dtype=np.int32)
    return Diagram((Layer(position, size, first, value, child, before, before[-1:]),))


def build(positions: Sequence[int], domains: Sequence[Domain], rules: Sequence[Rule], budget: Budget) -> Diagram:
    """The diagram of the parameters at `positions`, which the rules link.

    Raises: SpaceError past the budget, or where a constraint cannot be evaluated.
    """
    growth = Growth(rules, budget)
    grown = [growth.step(position, domains[position]) for position in positions]
    dtype: Any = np.int64 if math.prod(domains[position].size for position in positions) < INT64_BELOW else object
    count: NDArray[Any] = np.ones(1, dtype=dtype)
    layers: list[Layer] = []
    for position, (first, value, child) in zip(reversed(positions), reversed(grown), strict=True):
        under = count[child]
        alive = under > 0
        if not alive.all():
            value, child, under = value[alive], child[alive], under[alive]
            first = np.concatenate(([0], np.cumsum(alive)))[first]
        before = np.concatenate((np.zeros(1, dtype), np.cumsum(under, dtype=dtype)))
        count = before[first[1:]] - before[first[:-1]]
        layers.append(Layer(position, domains[position].size, first, value, child, before, count))
    return Diagram(tuple(reversed(layers)))
