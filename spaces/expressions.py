"""Symbolic expressions over parameters, `problem.*` and `target.*`, evaluated over whole columns of configs at once."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .errors import SpaceError, UnknownName

Value = int | float | str | bool
Column = Any  # one Value for all rows, or NDArray of one per row
Env = Mapping[str, Column]

_BOOL_REMEDY = (
    "A symbolic expression has no truth value while a space is being written: "
    "use `a & b` for `and`, `a | b` for `or`, `~a` for `not`, `in_(x, …)` for `in`, "
    "`where(condition, a, b)` for `a if condition else b`, and `(a <= b) & (b <= c)` for a chain"
)


class Expr(ABC):
    """A value that is known once the parameters, the problem and the target are.

    `==` and its kin build expressions, so two Exprs are never equal as objects: compare their `str()`.
    """

    __hash__ = object.__hash__

    @abstractmethod
    def value(self, env: Env) -> Column:
        """The expression over the columns of `env` (name -> one value, or one per row)."""

    @abstractmethod
    def names(self) -> frozenset[str]:
        """Every name the expression reads, such as `BLOCK_M` or `problem.m`."""

    def __bool__(self) -> bool:
        raise SpaceError(f"{_BOOL_REMEDY} (in `{self}`).")

    def __add__(self, other: Operand) -> Expr:
        return Call("+", self, other)

    def __radd__(self, other: Operand) -> Expr:
        return Call("+", other, self)

    def __sub__(self, other: Operand) -> Expr:
        return Call("-", self, other)

    def __rsub__(self, other: Operand) -> Expr:
        return Call("-", other, self)

    def __mul__(self, other: Operand) -> Expr:
        return Call("*", self, other)

    def __rmul__(self, other: Operand) -> Expr:
        return Call("*", other, self)

    def __truediv__(self, other: Operand) -> Expr:
        return Call("/", self, other)

    def __rtruediv__(self, other: Operand) -> Expr:
        return Call("/", other, self)

    def __floordiv__(self, other: Operand) -> Expr:
        return Call("//", self, other)

    def __rfloordiv__(self, other: Operand) -> Expr:
        return Call("//", other, self)

    def __mod__(self, other: Operand) -> Expr:
        return Call("%", self, other)

    def __rmod__(self, other: Operand) -> Expr:
        return Call("%", other, self)

    def __lt__(self, other: Operand) -> Expr:
        return Call("<", self, other)

    def __le__(self, other: Operand) -> Expr:
        return Call("<=", self, other)

    def __gt__(self, other: Operand) -> Expr:
        return Call(">", self, other)

    def __ge__(self, other: Operand) -> Expr:
        return Call(">=", self, other)

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]  # `a == b` states a constraint
        return Call("==", self, other)

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]  # `a != b` states a constraint
        return Call("!=", self, other)

    def __and__(self, other: Operand) -> Expr:
        return Call("&", self, other)

    def __rand__(self, other: Operand) -> Expr:
        return Call("&", other, self)

    def __or__(self, other: Operand) -> Expr:
        return Call("|", self, other)

    def __ror__(self, other: Operand) -> Expr:
        return Call("|", other, self)

    def __invert__(self) -> Expr:
        return Call("~", self)

    def __neg__(self) -> Expr:
        return Call("-", 0, self)


Operand = Expr | int | float | str | bool


class Const(Expr):
    """A plain value."""

    def __init__(self, constant: Value) -> None:
        self.constant = constant

    def value(self, env: Env) -> Column:
        return self.constant

    def names(self) -> frozenset[str]:
        return frozenset()

    def __repr__(self) -> str:
        return repr(self.constant)


class Symbol(Expr):
    """A name that is bound later: a parameter, a derived value, `problem.x` or `target.x`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def value(self, env: Env) -> Column:
        try:
            return env[self.name]
        except KeyError:
            raise UnknownName(self.name, "a name this space can see", env) from None

    def names(self) -> frozenset[str]:
        return frozenset({self.name})

    def __repr__(self) -> str:
        return self.name


def _divide(divide: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def checked(left: Column, right: Column) -> Column:
        if np.any(np.equal(right, 0)):
            raise ZeroDivisionError
        return divide(left, right)

    return checked


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide(operator.truediv),
    "//": _divide(operator.floordiv),
    "%": _divide(operator.mod),
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "&": np.logical_and,
    "|": np.logical_or,
    "~": np.logical_not,
    "min_": lambda *columns: _fold(np.minimum, columns),
    "max_": lambda *columns: _fold(np.maximum, columns),
    "ceil_div": _divide(lambda left, right: -(-left // right)),
    "in_": lambda column, *members: _fold(np.logical_or, [column == member for member in members]),
}
_WORDS = {"min_", "max_", "ceil_div", "in_"}


def _fold(join: Callable[[Any, Any], Any], columns: Any) -> Column:
    first, *rest = columns
    for column in rest:
        first = join(first, column)
    return first


class Call(Expr):
    """An operator or function over operands."""

    def __init__(self, function: str, *operands: object) -> None:
        self.function = function
        self.operands = tuple(as_expr(operand) for operand in operands)

    def value(self, env: Env) -> Column:
        try:
            return _FUNCTIONS[self.function](*(operand.value(env) for operand in self.operands))
        except ZeroDivisionError:
            raise SpaceError(f"`{self}` divides by zero: guard it with where(divisor != 0, …, …).") from None
        except TypeError as error:
            raise SpaceError(f"`{self}` mixes types that do not go together: {error}.") from None

    def names(self) -> frozenset[str]:
        return frozenset().union(*(operand.names() for operand in self.operands))

    def __repr__(self) -> str:
        if self.function in _WORDS:
            return f"{self.function}({', '.join(map(str, self.operands))})"
        if len(self.operands) == 1:
            return f"{self.function}{self.operands[0]}"
        return f"({self.operands[0]} {self.function} {self.operands[1]})"


def as_expr(operand: object) -> Expr:
    """An operand as an expression. Raises: SpaceError for what is neither an Expr nor a plain value."""
    if isinstance(operand, Expr):
        return operand
    if isinstance(operand, int | float | str | bool):
        return Const(operand)
    raise SpaceError(
        f"{operand!r} cannot stand in an expression: it takes parameters, problem.*, target.* and plain values."
    )
