"""Growth: a diagram's nodes and edges, from the first parameter to the last, each rule applied as soon as it can be.

What is remembered of the way to a node are slots: the values of earlier parameters that rules still read or, for rules
over many combinations, the values of the largest parts of them that are known already. `BM * BN * BK <= limit` keeps
after BN the distinct products, not the pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import Column, truth
from .errors import SpaceError, SpaceTooLarge
from .expressions import Expr, Symbol
from .rules import Domain, Mask, Rule

Array = NDArray[Any]

TABLE_CELLS = 1 << 14
"""Combinations a rule may range over to be looked up in a table of its truth; a larger one is folded as values come."""

BLOCK_CELLS = 1 << 20
"""Combinations of node and value that are looked at in one piece, at most."""

EDGE_BYTES = 64
"""What an edge takes while its layer is made, and 8 more for each folded rule; some 16 bytes stay."""


class Budget:
    """Memory that one construction may take. Not thread-safe."""

    def __init__(self, limit_bytes: int, space: str) -> None:
        self.limit_bytes, self.space, self.taken_bytes = limit_bytes, space, 0

    def keep(self, size_bytes: int) -> None:
        """Note memory that stays taken."""
        self.taken_bytes += size_bytes

    def check(self, more_bytes: int, what: str) -> None:
        """Raises: SpaceTooLarge if so much more, for a while, is past the limit."""
        if self.taken_bytes + more_bytes > self.limit_bytes:
            raise SpaceTooLarge(
                f"space {self.space} needs more than {self.limit_bytes / 2**20:,.0f} MiB ({what}): "
                "let fewer parameters share a constraint, require more, or raise memory_bytes= of on()."
            )


@dataclass(frozen=True, slots=True)
class Slot:
    """Values by code: that of node or edge i is `values[codes[i]]`."""

    codes: Array
    values: Column
    size: int  # codes are below it; absence has the last one and no value

    def at(self, places: Any) -> Slot:
        return Slot(self.codes[places], self.values, self.size)

    @property
    def column(self) -> Column:
        return self.values[self.codes]


class Growth:
    """The layer reached so far. Not thread-safe."""

    def __init__(self, rules: Sequence[Rule], budget: Budget) -> None:
        self._budget = budget
        self._nodes = 1
        self._slots: dict[str, Slot] = {}
        self._whole = [rule for rule in rules if rule.cells <= TABLE_CELLS or not rule.folds]
        self._folded = {rule: rule.expression for rule in rules if rule not in self._whole}

    def step(self, position: int, domain: Domain) -> tuple[Array, Array, Array]:
        """Cross every node with the values of the next parameter.

        Gives where each node's edges begin [nodes + 1], and value index and child of every edge.
        """
        parent, value = self._edges(position, domain)
        self._whole = [rule for rule in self._whole if rule.positions[-1] != position]
        own = Slot(value, domain.column, domain.size)
        new = self._fold(position, domain.name, own, parent)
        needed = {read.name for rule in self._whole for read in rule.domains}
        needed |= {name for expression in self._folded.values() for name in expression.names()}
        kept = {name: slot for name, slot in self._slots.items() if name in needed}
        if len(kept) == len(self._slots) and domain.name in needed:  # all is remembered: nothing falls together
            child = first_of = np.arange(len(parent), dtype=np.int32)
        else:
            key, bound = _joined(list(kept.values()), np.zeros(self._nodes, dtype=np.int64), 1)
            added = [slot for name, slot in new.items() if name in needed]
            child, first_of = _ranked(*_joined(added, key[parent], bound))
        first = np.concatenate(([0], np.cumsum(np.bincount(parent, minlength=self._nodes))))
        came_from = parent[first_of]
        self._slots = {name: slot.at(came_from) for name, slot in kept.items()}
        self._slots |= {name: slot.at(first_of) for name, slot in new.items() if name in needed}
        self._nodes = len(first_of)
        self._budget.keep(16 * (len(parent) + self._nodes))
        return first, value, child

    def _edges(self, position: int, domain: Domain) -> tuple[Array, Array]:
        """Node and value index of every edge that the rules bound by now leave standing."""
        ending = [rule for rule in self._whole if rule.positions[-1] == position]
        tables = {rule: table for rule in ending if (table := rule.table_or_none) is not None}
        folded = [self._folded.pop(rule) for rule in list(self._folded) if rule.positions[-1] == position]
        height = max(1, min(BLOCK_CELLS, self._budget.limit_bytes // EDGE_BYTES) // domain.size)
        edge_bytes = EDGE_BYTES + 8 * len(self._folded)
        parents, values = [], []
        for start in range(0, max(1, self._nodes), height):
            rows = slice(start, min(start + height, self._nodes))
            mask: Mask = np.ones((rows.stop - start, domain.size), dtype=bool)
            for rule, table in tables.items():
                slots = [self._slots[d.name].at(rows) for d in rule.domains[:-1]]
                mask &= table[_joined(slots, np.zeros(len(mask), dtype=np.int64), 1, compress=False)[0]]
            parent, value = np.nonzero(mask)
            parent += start
            own = Slot(value, domain.column, domain.size)
            for rule in ending:
                if rule not in tables:
                    indices = {name: slot.codes for name, slot in self._on_edges(rule, parent, domain.name, own)}
                    held = rule.of_pairs(indices)
                    parent, value = parent[held], value[held]
                    own = Slot(value, domain.column, domain.size)
            for expression in folded:
                env = {name: slot.column for name, slot in self._on_edges(expression, parent, domain.name, own)}
                held = np.broadcast_to(truth(Rule.evaluate(expression, env)), len(parent))
                parent, value = parent[held], value[held]
                own = Slot(value, domain.column, domain.size)
            parents.append(parent.astype(np.int32))
            values.append(value.astype(domain.index_dtype))
            edges = sum(map(len, parents))
            self._budget.check(edge_bytes * edges, f"{domain.name}: {edges:,} edges for {self._nodes:,} nodes")
        return np.concatenate(parents), np.concatenate(values)

    def _on_edges(self, reader: Rule | Expr, parent: Array, name: str, own: Slot) -> list[tuple[str, Slot]]:
        """The slots that a rule or an expression reads, by edge."""
        names = reader.names() if isinstance(reader, Expr) else [domain.name for domain in reader.domains]
        return [(read, own if read == name else self._slots[read].at(parent)) for read in names]

    def _fold(self, position: int, name: str, own: Slot, parent: Array) -> dict[str, Slot]:
        """Slots by edge of this parameter itself, and of what it makes known of the folded rules."""
        new = {name: own}

        def slot_of(part: Expr) -> Slot | None:
            slot_name = _slot_name(part)
            if slot_name not in new:
                env = {read: slot.column for read, slot in self._on_edges(part, parent, name, own)}
                try:
                    new[slot_name] = _coded(np.broadcast_to(Rule.evaluate(part, env), len(parent)))
                except (SpaceError, TypeError):  # it fails on edges where it is not taken, or has no order
                    return None
            return new[slot_name]

        for rule, expression in self._folded.items():
            if position in rule.positions:
                self._folded[rule] = _folded(expression, self._slots.keys() | {name}, slot_of)
        return new


def _folded(expression: Expr, known: Collection[str], slot_of: Callable[[Expr], Slot | None]) -> Expr:
    """The expression with its largest parts that read known names only as names of slots."""
    if not expression.operands or expression.names().isdisjoint(known):
        return expression
    if expression.names() <= set(known) and slot_of(expression) is not None:
        return Symbol(_slot_name(expression), expression.is_truth)
    return expression.rebuilt([_folded(operand, known, slot_of) for operand in expression.operands])


def _slot_name(part: Expr) -> str:
    return f"#({part})"  # no parameter can be called so


def _coded(column: Column) -> Slot:
    """A column as codes of its distinct values. Raises: TypeError for values that cannot be sorted."""
    if column.dtype.kind in "bi" and len(column):
        low, high = int(column.min()), int(column.max())
        codes, first_of = _ranked(column.astype(np.int64) - low, high - low + 1)
        return Slot(codes, column[first_of], len(first_of))
    values, codes = np.unique(column, return_inverse=True)
    return Slot(codes.astype(np.int32), values, max(1, len(values)))


def _joined(slots: Sequence[Slot], key: Array, bound: int, *, compress: bool = True) -> tuple[Array, int]:
    """A number below `bound` for each row, and codes of slots, as one number below the bound given back.

    Not `compress`: the number is a place in a table of these sizes.
    """
    for slot in slots:
        if compress and bound > (1 << 62) // slot.size:
            rank, first_of = _ranked(key, bound)
            key, bound = rank.astype(np.int64), max(1, len(first_of))
        key, bound = key * slot.size + slot.codes, bound * slot.size
    return key, bound


def _ranked(key: Array, bound: int) -> tuple[Array, Array]:
    """Numbers below a bound as ranks 0, 1, … of the distinct ones, and where each distinct one is first met."""
    if bound > 8 * len(key) + 1024:
        _, first_of, rank = np.unique(key, return_index=True, return_inverse=True)
        return rank.astype(np.int32), first_of
    met = np.zeros(bound, dtype=bool)
    met[key] = True
    rank = (np.cumsum(met, dtype=np.int32) - np.int32(1))[key]
    first_of = np.empty(int(met.sum()), dtype=np.int64)
    first_of[rank[::-1]] = np.arange(len(key) - 1, -1, -1)
    return rank, first_of
