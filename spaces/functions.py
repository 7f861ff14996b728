"""Functions of the space language: min_, max_, ceil_div, in_, where, position."""

from __future__ import annotations

from .expressions import Call, Expr, Operand, Where, as_expr


def min_(*operands: Operand) -> Expr:
    """The smallest operand."""
    return Call("min", *operands) if len(operands) > 1 else as_expr(*operands)


def max_(*operands: Operand) -> Expr:
    """The largest operand."""
    return Call("max", *operands) if len(operands) > 1 else as_expr(*operands)


def ceil_div(left: Operand, right: Operand) -> Expr:
    """`left / right`, rounded up to an integer."""
    return Call("ceil_div", left, right)


def in_(item: Operand, *members: Operand) -> Expr:
    """True where `item` equals one of `members`."""
    return Call("in", item, *members)


def where(condition: Operand, a: Operand, b: Operand) -> Expr:
    """`a` where the condition holds, else `b`; neither is evaluated where it is not taken."""
    return Where(condition, a, b)


def position(order: Operand, item: str) -> Expr:
    """Place of an item in a permutation's value, from 0: `position(LOOPS, "k") > position(LOOPS, "m")`."""
    return Call("position", order, item)
