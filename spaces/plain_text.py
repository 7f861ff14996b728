"""Expressions as Python that any tool evaluates: nothing but operators, `in`, `if … else`, min, max and abs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .columns import SEPARATOR, truth, values_column
from .errors import SpaceError
from .expressions import Call, Const, Expr, Value, Where

Listed = Mapping[str, tuple[Value, ...]]


def plain(expression: Expr, listed: Listed) -> Expr:
    """The same values without ceil_div and position; `listed` are the values of each parameter by name.

    `position(LOOPS, "k") == 0` becomes membership in the orders for which it holds.
    Raises: SpaceError for a position in what is no permutation.
    """
    if not expression.operands:
        return expression
    if isinstance(expression, Call) and expression.function == "position":
        return _by_place(expression, listed)
    if expression.is_truth and len(expression.names()) == 1 and _reads_position(expression):
        (name,) = expression.names()
        held = np.broadcast_to(truth(expression.value({name: values_column(listed[name])})), (len(listed[name]),))
        members = [value for value, holds in zip(listed[name], held.tolist(), strict=True) if holds]
        return Call("in", _symbol(expression), *members) if members else Const(False)
    operands = [plain(operand, listed) for operand in expression.operands]
    if isinstance(expression, Call) and expression.function == "ceil_div":
        left, right = operands
        return -((-left) // right)
    if isinstance(expression, Call) and expression.function in ("min", "max") and len(operands) == 1:
        return operands[0]
    return expression.rebuilt(operands)


def _reads_position(expression: Expr) -> bool:
    found = isinstance(expression, Call) and expression.function == "position"
    return found or any(_reads_position(operand) for operand in expression.operands)


def _symbol(expression: Expr) -> Expr:
    """The one name that an expression reads, as an expression."""
    while expression.operands:
        expression = next(operand for operand in expression.operands if operand.names())
    return expression


def _by_place(position: Call, listed: Listed) -> Expr:
    """`0 if LOOPS in (orders with the item first) else 1 if …`."""
    order, item = position.operands
    values = listed.get(str(order), ())
    if not isinstance(item, Const) or not values or not all(isinstance(value, str) for value in values):
        raise SpaceError(f"`{position}` is no position of an item in a permutation: plain Python cannot say it.")
    places = [str(value).split(SEPARATOR) for value in values]
    if any(item.constant not in items for items in places):
        raise SpaceError(f"`{position}` is no position: {listed[str(order)][0]!r} or another value lacks the item.")
    result: Expr = Const(len(places[0]) - 1)
    for place in reversed(range(len(places[0]) - 1)):
        members = [value for value, items in zip(values, places, strict=True) if items[place] == item.constant]
        if members:
            result = Where(Call("in", order, *members), place, result)
    return result
