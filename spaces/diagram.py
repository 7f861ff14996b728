"""Diagram: the feasible combinations of parameters that constraints link, as a decision diagram with counts.

A layer for each parameter, in order. A node of a layer stands for every choice of earlier parameters that what is
left of the constraints cannot tell apart, so the diagram is as large as what must be remembered, not as what it
holds: a chain of twenty linked parameters has 10^20 combinations and a few hundred nodes. Each constraint cuts as
soon as all it reads is bound. Paths from the root, in order, are the combinations in the order of nested loops.
Ordered multi-valued decision diagrams: Kam, Villa, Brayton, Sangiovanni-Vincentelli 1998.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import SpaceError
from .rules import Domain, Rule

Array = NDArray[Any]

BLOCK_CELLS = 1 << 22
"""Combinations of node and value that are looked at in one piece."""

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


class Budget:
    """Memory that one construction may take. Not thread-safe."""

    def __init__(self, limit_bytes: int, space: str) -> None:
        self.limit_bytes, self.space, self.taken_bytes = limit_bytes, space, 0

    def take(self, size_bytes: int, what: str) -> None:
        """Note that memory is about to be taken. Raises: SpaceError past the limit."""
        self.taken_bytes += size_bytes
        if self.taken_bytes > self.limit_bytes:
            raise SpaceError(
                f"space {self.space} needs more than {self.limit_bytes / 2**20:,.0f} MiB ({what}). Declare parameters "
                "that share constraints side by side, require more, or raise memory_bytes= of on()."
            )


def build(positions: Sequence[int], domains: Sequence[Domain], rules: Sequence[Rule], budget: Budget) -> Diagram:
    """The diagram of the parameters at `positions`, which the rules link.

    Raises: SpaceError past the budget, or where a constraint cannot be evaluated.
    """
    dtype = np.int64 if math.prod(domains[position].size for position in positions) < INT64_BELOW else object
    context: dict[int, Array] = {}  # of each node: value indices of the earlier parameters that rules still read
    nodes = 1
    grown: list[tuple[Array, Array, Array]] = []
    for position in positions:
        here = [rule for rule in rules if rule.positions[-1] == position]
        later = {p for rule in rules for p in rule.positions if rule.positions[-1] > position}
        parent, value = _edges(position, domains[position], nodes, context, here, budget)
        kept = [p for p in context if p in later]
        if position in later and len(kept) == len(context):
            child = np.arange(len(parent), dtype=np.int32)
            first_of = child
        else:
            sizes = [domains[p].size for p in kept]
            key, bound = _keys([context[p] for p in kept], sizes, nodes)
            key = key[parent]
            if position in later:
                key, bound = key * domains[position].size + value, bound * domains[position].size
            child, first_of = _ranked(key, bound)
        context = {p: context[p][parent[first_of]] for p in kept}
        if position in later:
            context[position] = value[first_of]
        grown.append((np.concatenate(([0], np.cumsum(np.bincount(parent, minlength=nodes)))), value, child))
        nodes = len(parent[first_of])
        budget.take(16 * len(parent) + 4 * nodes * len(context), f"{domains[position].name}: {len(parent):,} edges")
    return _counted(positions, domains, grown, dtype)


def _edges(
    position: int, domain: Domain, nodes: int, context: Mapping[int, Array], rules: Sequence[Rule], budget: Budget
) -> tuple[Array, Array]:
    """Node and value index of every edge that the rules bound by now leave standing."""
    tabled = [rule for rule in rules if rule.cells <= max(4096, 4 * nodes * domain.size)]
    found = []
    for start in range(0, nodes, max(1, BLOCK_CELLS // domain.size)):
        block = slice(start, start + max(1, BLOCK_CELLS // domain.size))
        here = {p: column[block] for p, column in context.items()}
        mask = np.ones((min(nodes, block.stop) - start, domain.size), dtype=bool)
        failing = []
        for rule in tabled:
            try:
                table = rule.table.reshape(-1, domain.size)
            except SpaceError:  # perhaps only where another rule has cut already: looked at pair by pair
                failing.append(rule)
                continue
            others = list(rule.positions[:-1])
            row, _ = _keys([here[p] for p in others], [d.size for d in rule.domains[:-1]], len(mask), dense=True)
            mask &= table[row]
        parent, value = np.nonzero(mask)
        for rule in [*(rule for rule in rules if rule not in tabled), *failing]:
            indices = {p: here[p][parent] for p in rule.positions[:-1]} | {position: value}
            held = rule.of_pairs(indices)
            parent, value = parent[held], value[held]
        budget.take(12 * len(parent), f"{domain.name}: {len(parent):,} edges in a block")
        budget.taken_bytes -= 12 * len(parent)
        found.append(((parent + start).astype(np.int32), value.astype(_index_dtype(domain.size))))
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def _keys(columns: Sequence[Array], sizes: Sequence[int], rows: int, dense: bool = False) -> tuple[Array, int]:
    """One number for each row of columns, equal where all columns are, and the bound of these numbers.

    `dense`: the numbers are places in a table of these sizes, which is small.
    """
    key, bound = np.zeros(rows, dtype=np.int64), 1
    for column, size in zip(columns, sizes, strict=True):
        if not dense and bound > INT64_BELOW // size:
            key, _ = _ranked(key, bound)
            key, bound = key.astype(np.int64), int(key.max(initial=0)) + 1
        key, bound = key * size + column, bound * size
    return key, bound


def _ranked(key: Array, bound: int) -> tuple[Array, Array]:
    """Numbers as ranks 0, 1, … of the distinct ones among them, and where each distinct one is first met."""
    if bound > 8 * len(key) + 1024:
        _, first_of, rank = np.unique(key, return_index=True, return_inverse=True)
        return rank.astype(np.int32), first_of
    met = np.zeros(bound, dtype=bool)
    met[key] = True
    rank = (np.cumsum(met, dtype=np.int32) - np.int32(1))[key]
    first_of = np.empty(int(met.sum()), dtype=np.int64)
    first_of[rank[::-1]] = np.arange(len(key) - 1, -1, -1)
    return rank, first_of


def _index_dtype(size: int) -> type[np.signedinteger[Any]]:
    return np.int8 if size <= 127 else np.int16 if size <= 32_767 else np.int32


def _counted(
    positions: Sequence[int], domains: Sequence[Domain], grown: list[tuple[Array, Array, Array]], dtype: Any
) -> Diagram:
    """Layers with the combinations under every node, from the last to the first, and without dead ends."""
    count = np.ones(1, dtype=dtype)
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
