"""Product: independent diagrams side by side, as one list in the order of nested loops over all parameters.

Nothing is listed unless asked for: a position is found, and a row at a position, by counting what lies before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .diagram import INT64_BELOW, Diagram, Layer
from .growth import Array

Steps = list[tuple[int, Layer]]


class Product:
    """Rows are value indices by position [n, width]; every diagram has its own positions. Immutable."""

    def __init__(self, diagrams: Sequence[Diagram], width: int, *, empty: bool = False) -> None:
        self.diagrams = tuple(diagrams)
        self.width = width
        self.count: int = 0 if empty else math.prod(diagram.count for diagram in self.diagrams)
        self.steps = _interleaved(self.diagrams)
        self.rank_dtype = np.int64 if self.count < INT64_BELOW else object

    @cached_property
    def index_dtype(self) -> np.dtype[Any]:
        """The smallest integers that hold every value index."""
        return np.result_type(np.int8, *(layer.value.dtype for _, layer in self.steps))

    def occurring(self) -> list[Array]:
        """Value indices that some row has, ascending, by position."""
        found: list[Array] = [np.empty(0, dtype=self.index_dtype)] * self.width
        for _, layer in self.steps if self.count else ():
            found[layer.position] = np.unique(layer.value)
        return found

    def rows(self, ranks: Array) -> Array:
        """The rows at these positions [n]; each is below `count`."""
        rest = np.asarray(ranks, dtype=self.rank_dtype)
        rows = np.empty((len(rest), self.width), dtype=self.index_dtype)
        nodes = [np.zeros(len(rest), dtype=np.int32) for _ in self.diagrams]
        left = np.full(len(rest), self.count, dtype=self.rank_dtype)  # rows that share what is chosen so far
        for owner, layer in self.steps:
            node = nodes[owner]
            beside = left // layer.count[node]  # of these, for one choice of all that is left in this diagram
            wanted, rest = rest // beside, rest % beside
            start = layer.before[layer.first[node]]
            edge = np.searchsorted(layer.before, start + wanted.astype(layer.before.dtype), side="right") - 1
            rest = rest + (start + wanted.astype(layer.before.dtype) - layer.before[edge]) * beside
            left = beside * (layer.before[edge + 1] - layer.before[edge])
            rows[:, layer.position] = layer.value[edge]
            nodes[owner] = layer.child[edge]
        return rows

    def ranks(self, rows: Array) -> Array:
        """Positions of rows [n, width], -1 for those that are not in the product."""
        nodes = [np.zeros(len(rows), dtype=np.int64) for _ in self.diagrams]
        left = np.full(len(rows), self.count, dtype=self.rank_dtype)
        ranks = np.zeros(len(rows), dtype=self.rank_dtype)
        found = np.full(len(rows), self.count > 0)
        for owner, layer in self.steps if self.count else ():
            node = nodes[owner]
            wanted = node * layer.size + rows[:, layer.position]
            edge = np.minimum(np.searchsorted(layer.keys, wanted), len(layer.keys) - 1)
            found &= (layer.keys[edge] == wanted) & (rows[:, layer.position] < layer.size)
            beside = left // layer.count[node]
            ranks = ranks + (layer.before[edge] - layer.before[layer.first[node]]) * beside
            left = beside * (layer.before[edge + 1] - layer.before[edge])
            nodes[owner] = layer.child[edge].astype(np.int64)
            # A row that has left the product goes on along some edge, so that all stay in step.
        ranks[~found] = -1
        return ranks

    def table(self) -> Array:
        """Every row [count, width], a column lying together in memory. Needs about 20 bytes a row beside the result."""
        listed = np.empty((self.width, self.count), dtype=self.index_dtype)
        open_nodes: dict[int, Array] = {}  # by diagram, of each prefix of a row
        prefixes = 1
        for owner, layer in self.steps if self.count else ():
            column = listed[layer.position]
            if not open_nodes and len(self.diagrams[owner].layers) == 1:  # by itself: a pattern that repeats
                column.reshape(prefixes, len(layer.value), -1)[:] = layer.value[:, None]
                prefixes *= len(layer.value)
                continue
            if not open_nodes:
                left = np.full(prefixes, self.count // prefixes)  # rows that begin with each prefix
            node = open_nodes.pop(owner, np.zeros(1, dtype=np.int32))
            edge, degree = _out_edges(layer, np.broadcast_to(node, left.shape))
            open_nodes = {other: np.repeat(at, degree) for other, at in open_nodes.items()}
            left = np.repeat(left // layer.count[node], degree) * np.diff(layer.before)[edge]
            value = layer.value[edge]
            column[:] = value if len(value) == self.count else np.repeat(value, left)
            if layer is not self.diagrams[owner].layers[-1]:
                open_nodes[owner] = layer.child[edge]
            prefixes = len(edge)
        return listed.T

    def matching(self, allowed: Sequence[NDArray[np.bool_]]) -> Array:
        """Rows [n, width] whose value index at each position is allowed there, in order."""
        rows = np.zeros((1 if self.count else 0, self.width), dtype=self.index_dtype)
        nodes = [np.zeros(len(rows), dtype=np.int32) for _ in self.diagrams]
        for owner, layer in self.steps:
            edge, degree = _out_edges(layer, nodes[owner])
            fits = allowed[layer.position][layer.value[edge]]
            parent, edge = np.repeat(np.arange(len(rows)), degree)[fits], edge[fits]
            rows = rows[parent]
            rows[:, layer.position] = layer.value[edge]
            nodes = [node[parent] for node in nodes]
            nodes[owner] = layer.child[edge]
        return rows

    def cheapest(self, costs: Sequence[NDArray[np.float64]]) -> Array:
        """The first row [width] with the smallest sum of `costs[position][value index]`. The product is not empty."""
        row = np.empty(self.width, dtype=self.index_dtype)
        for diagram in self.diagrams:
            best = np.zeros(1)
            reached: list[Array] = []  # cost of every edge and the cheapest way on from it, by layer from the last
            for layer in reversed(diagram.layers):
                through = costs[layer.position][layer.value] + best[layer.child]
                best = np.full(len(layer.count), np.inf)
                live = layer.count > 0
                best[live] = np.minimum.reduceat(through, layer.first[:-1][live])
                reached.append(through)
            node = 0
            for layer, through in zip(diagram.layers, reversed(reached), strict=True):
                start, end = layer.first[node], layer.first[node + 1]
                edge = start + int(np.argmin(through[start:end]))
                row[layer.position], node = layer.value[edge], layer.child[edge]
        return row

    def blocks(self, size: int) -> Iterator[Array]:
        """All rows in order, `size` at a time, without listing them at once."""
        for start in range(0, self.count, size):
            yield self.rows(start + np.arange(min(size, self.count - start), dtype=self.rank_dtype))


def _interleaved(diagrams: Sequence[Diagram]) -> Steps:
    """All layers with their diagram's number, by position as far as each diagram's own order allows."""
    keyed = []
    for owner, diagram in enumerate(diagrams):
        reached = -1
        for layer in diagram.layers:
            reached = max(reached, layer.position)
            keyed.append((reached, (owner, layer)))
    return [step for _, step in sorted(keyed, key=lambda pair: pair[0])]


def _out_edges(layer: Layer, nodes: Array) -> tuple[Array, Array]:
    """Every edge that leaves each of these nodes, in order, and how many each has."""
    first = layer.first[nodes]
    degree = layer.first[1:][nodes] - first
    ends = np.cumsum(degree)
    return np.repeat(first - ends + degree, degree) + np.arange(ends[-1] if len(ends) else 0), degree
