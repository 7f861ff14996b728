"""Functions of the space language: min_, max_, ceil_div, in_, where."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .expressions import Call, Column, Env, Expr, Operand, as_expr


class Where(Expr):
    """`a` where the condition holds, else `b`; each is evaluated only on the rows that take it."""

    def __init__(self, condition: Operand, a: Operand, b: Operand) -> None:
        self.parts = (as_expr(condition), as_expr(a), as_expr(b))

    def value(self, env: Env) -> Column:
        condition, a, b = self.parts
        mask = condition.value(env)
        if np.ndim(mask) == 0:
            return (a if mask else b).value(env)
        taken, other = a.value(rows(env, mask)), b.value(rows(env, ~mask))
        result = np.empty(mask.shape, dtype=np.result_type(taken, other))
        result[mask], result[~mask] = taken, other
        return result

    def names(self) -> frozenset[str]:
        return frozenset().union(*(part.names() for part in self.parts))

    def __repr__(self) -> str:
        return f"where({', '.join(map(str, self.parts))})"


def rows(env: Env, mask: NDArray[Any]) -> dict[str, Column]:
    """The columns of `env` on the rows a mask (or an index array) selects."""
    return {name: column[mask] if isinstance(column, np.ndarray) else column for name, column in env.items()}


def min_(*operands: Operand) -> Expr:
    """The smallest operand."""
    return Call("min_", *operands)


def max_(*operands: Operand) -> Expr:
    """The largest operand."""
    return Call("max_", *operands)


def ceil_div(left: Operand, right: Operand) -> Expr:
    """`left / right`, rounded up to an integer."""
    return Call("ceil_div", left, right)


def in_(item: Operand, *members: Operand) -> Expr:
    """True where `item` equals one of `members`."""
    return Call("in_", item, *members)


def where(condition: Operand, a: Operand, b: Operand) -> Expr:
    """`a` where the condition holds, else `b`."""
    return Where(condition, a, b)
