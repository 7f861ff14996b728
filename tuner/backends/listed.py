"""ListedSpace: configs that are listed, not described, as a feasible space of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...spaces.binding import domains_of
from ...spaces.canonical import digest
from ...spaces.diagram import Diagram, Layer
from ...spaces.feasible import FeasibleSpace
from ...spaces.points import ABSENT
from ...spaces.product import Product
from ...spaces.rules import Domain
from ...spaces.space import Space

Rows = NDArray[np.signedinteger[Any]]


class ListedSpace(FeasibleSpace):
    """Some rows of a space that says parameters only: a sample of a space, or what a study tried. Immutable."""

    def __init__(self, space: Space, rows: Rows) -> None:
        """`rows` are value indices [configs, parameters], -1 where a parameter is absent; repeats count once.

        `space` declares no constraints: the rows are all there is to say.
        """
        super().__init__(space.declaration)
        domains = domains_of(space.declaration)
        past = np.array([len(domain.values) for domain in domains])
        listed = np.unique(np.where(rows == ABSENT, past, rows), axis=0)
        self._product = Product([_trie(listed, domains)] if len(listed) else [], len(domains), empty=not len(listed))

    def explain(self, config: Mapping[str, Any]) -> str:
        """Why a config is not here, or "it is feasible"."""
        if config in self:
            return "it is feasible"
        return f"it is none of the {self.total:,} configs listed"

    @cached_property
    def digest(self) -> str:
        """Identity of the parameters and of which rows are listed."""
        listed = hashlib.sha256(np.ascontiguousarray(self.matrix(), dtype=np.int32).tobytes()).hexdigest()
        return digest({"space": self.declaration.digest, "listed": listed})


def _trie(rows: Rows, domains: Sequence[Domain]) -> Diagram:
    """The diagram whose paths are these rows [n > 0, width], each there once and in ascending order."""
    differs = rows[1:] != rows[:-1]
    begins = np.zeros(len(rows), dtype=bool)  # a row that shares less than this depth with the one before
    begins[0] = True
    node = np.zeros(len(rows), dtype=np.int32)  # of each row, at this depth
    layers = []
    for position, domain in enumerate(domains):
        begins[1:] |= differs[:, position]
        starts = np.flatnonzero(begins)
        first = np.searchsorted(node[starts], np.arange(node[-1] + 2))
        node = np.cumsum(begins, dtype=np.int32) - np.int32(1)
        last = position == len(domains) - 1
        child = np.zeros(len(starts), dtype=np.int32) if last else np.arange(len(starts), dtype=np.int32)
        before = np.append(starts, len(rows)).astype(np.int64)
        count = before[first[1:]] - before[first[:-1]]
        value = rows[starts, position].astype(domain.index_dtype)
        layers.append(Layer(position, domain.size, first, value, child, before, count))
    return Diagram(tuple(layers))
