"""What the operators of the language do to columns: numpy where it is exact, Python's own integers beyond that.

A column is one value for all rows, or an array; arrays broadcast against each other. Results equal what Python gives
for each row alone: truth values count 0 and 1 in arithmetic, text is compared and never computed with, and integers
do not wrap around.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from .errors import SpaceError

Column = Any  # one int, float, str or bool for all rows, or NDArray of one per row

EXACT_BELOW = 1 << 53
"""Magnitude under which int64 and float64 hold the same integers, so that numpy compares them as Python does."""

MAX_BITS = 256
"""Bits of the largest integer an expression may reach; no size, count or product of a kernel comes near."""

MAX_EXPONENT = 64

SEPARATOR = ","
"""Stands between the items of a permutation's value: "m,n,k"."""


def values_column(values: tuple[Any, ...]) -> Column:
    """The listed values of a parameter as an array; of kinds that numpy would turn into each other, as objects."""
    kinds = {"number" if isinstance(value, int | float) else "text" for value in values}
    wide = any(isinstance(value, int) and abs(value) >= EXACT_BELOW for value in values)
    return np.array(values, dtype=object if wide or len(kinds) > 1 else None)


def _numbers(*columns: Column) -> list[Column]:
    """Operands of arithmetic. Raises: TypeError for text."""
    found = []
    for column in columns:
        kind = column.dtype.kind if isinstance(column, np.ndarray | np.generic) else "U" * isinstance(column, str)
        if kind == "U" or (kind == "O" and any(isinstance(value, str) for value in column.flat)):
            raise TypeError("text is only compared")
        found.append(column.astype(np.int64) if kind == "b" else column)
    return found


def magnitude(column: Column) -> int:
    """The largest absolute value of a column of integers, 0 for floats: they do not wrap around."""
    if not isinstance(column, np.ndarray):
        return abs(int(column)) if isinstance(column, int | np.integer) else 0
    if column.size == 0 or column.dtype.kind == "f":
        return 0
    if column.dtype.kind == "O":
        return max((abs(value) for value in column.flat if isinstance(value, int)), default=0)
    return int(np.abs(column).max())


def _exact(compute: Callable[[Any, Any], Any], reach: Callable[[int, int], int]) -> Callable[[Column, Column], Column]:
    """`compute` over numbers, in Python's integers where a result may reach past what numpy holds exactly."""

    def computed(left: Column, right: Column) -> Column:
        left, right = _aligned(*_numbers(left, right))
        limit = reach(magnitude(left), magnitude(right))
        if limit >= EXACT_BELOW:
            if limit.bit_length() > MAX_BITS:
                raise SpaceError(f"a value grows past {MAX_BITS} bits")
            left, right = _as_objects(left), _as_objects(right)
        return compute(left, right)

    return computed


def _as_objects(column: Column) -> Column:
    integers = isinstance(column, np.ndarray | np.integer) and column.dtype.kind in "iu"
    return np.asarray(column, dtype=object) if integers else column


def _aligned(*columns: Column) -> list[Column]:
    """The columns, all as Python's own values where one holds integers that numpy would not."""
    if any(_is_wide(column) for column in columns):
        return [np.asarray(column, dtype=object) for column in columns]
    return list(columns)


def _is_wide(column: Column) -> bool:
    if isinstance(column, np.ndarray):
        return bool(column.dtype.kind == "O")
    return isinstance(column, int) and abs(column) >= EXACT_BELOW


def _alike(*columns: Column) -> list[Column]:
    """The columns, as Python's own values where numpy would turn 1 beside "a", or True or 1 beside 0.5, into others."""
    if len({np.asarray(column).dtype.kind for column in columns}) > 1:
        return [np.asarray(column, dtype=object) for column in columns]
    return _aligned(*columns)


def _compare(compare: Callable[[Any, Any], Any]) -> Callable[[Column, Column], Column]:
    return lambda left, right: compare(*_aligned(left, right))


def _power(left: Column, right: Column) -> Column:
    left, right = _numbers(left, right)
    exponents = np.asarray(right)
    fractional = exponents.dtype.kind == "f" or any(isinstance(one, float) for one in exponents.flat)
    least, largest = (int(exponents.min()), int(exponents.max())) if exponents.size and not fractional else (0, 0)
    if fractional or least < 0 or largest > MAX_EXPONENT:
        raise SpaceError(f"an exponent is an integer from 0 to {MAX_EXPONENT}")
    if magnitude(left).bit_length() * largest > MAX_BITS:
        raise SpaceError(f"a value grows past {MAX_BITS} bits")
    if np.asarray(left).dtype.kind == "f":  # Python's own: numpy's power of floats may differ in the last digits
        return np.asarray(np.asarray(left, dtype=object) ** np.asarray(right, dtype=object), dtype=np.float64)
    return _exact(_raised, lambda base, _: base**largest)(left, right)


def _raised(base: Column, exponent: Column) -> Column:
    # The operator of an array of objects takes a short cut for some exponents that fails past 64 bits.
    return np.power(base, exponent) if isinstance(base, np.ndarray | np.generic) else base**exponent


def _divide(divide: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def divided(left: Column, right: Column) -> Column:
        left, right = _aligned(*_numbers(left, right))
        if np.any(np.equal(right, 0)):
            raise ZeroDivisionError
        return divide(left, right)

    return divided


def _bitwise(compute: Callable[[Any, Any], Any]) -> Callable[[Column, Column], Column]:
    return lambda left, right: compute(*_aligned(*_numbers(left, right)))


def select(condition: Column, a: Column, b: Column) -> Column:
    """`a` where the condition holds, else `b`."""
    return np.where(condition, *_alike(a, b))


def truth(column: Column) -> Column:
    """Whether each value counts as true, as in Python: not 0, not empty."""
    array = np.asarray(column)
    return array != "" if array.dtype.kind == "U" else array.astype(bool)


def _position(orders: Column, item: Column) -> Column:
    listed, inverse = np.unique(np.asarray(orders), return_inverse=True)
    try:
        places = np.array([str(order).split(SEPARATOR).index(str(item)) for order in listed])
    except ValueError:
        raise SpaceError(f"{item!r} is not an item of the permutation {listed[0]!r}") from None
    return places[inverse.reshape(np.shape(orders))]


_subtract = _exact(operator.sub, operator.add)

OPERATIONS: Mapping[str, Callable[..., Column]] = {
    "+": _exact(operator.add, operator.add),
    "-": lambda *columns: _subtract(*columns) if len(columns) == 2 else _subtract(0, *columns),
    "*": _exact(operator.mul, operator.mul),
    "**": _power,
    "/": _divide(operator.truediv),
    "//": _divide(operator.floordiv),
    "%": _divide(operator.mod),
    "<": _compare(operator.lt),
    "<=": _compare(operator.le),
    ">": _compare(operator.gt),
    ">=": _compare(operator.ge),
    "==": _compare(operator.eq),
    "!=": _compare(operator.ne),
    "&": _bitwise(operator.and_),
    "|": _bitwise(operator.or_),
    "not": lambda column: np.logical_not(truth(column)),
    "abs": lambda column: abs(_numbers(column)[0]),
    "min": lambda *columns: reduce(np.minimum, _alike(*_numbers(*columns))),
    "max": lambda *columns: reduce(np.maximum, _alike(*_numbers(*columns))),
    "ceil_div": _divide(lambda left, right: -(-left // right)),
    "position": _position,
    "in": lambda column, *members: reduce(np.logical_or, [_compare(operator.eq)(column, member) for member in members]),
}
