"""Symbolic expressions over parameters, `problem.*` and `target.*`, evaluated over whole columns of configs at once.

An expression is written with Python's operators and printed as Python text, which spaces/grammar.py reads back.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from .columns import OPERATIONS, Column, select, truth
from .errors import SpaceError, UnknownName

Value = int | float | str | bool
Env = Mapping[str, Column]

_BOOL_REMEDY = (
    "A symbolic expression has no truth value while a space is being written: "
    "use `a & b` for `and`, `a | b` for `or`, `~a` for `not`, `in_(x, …)` for `in`, "
    "`where(condition, a, b)` for `a if condition else b`, and `(a <= b) & (b <= c)` for a chain"
)

ATOM = 12
"""Binding strength of names, constants and calls; an operand that binds looser than its place is put in brackets."""

_STRENGTHS = {
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!=", "in"), 5),
    **{"or": 2, "and": 3, "not": 4, "|": 6, "&": 7, "+": 8, "-": 8, "*": 9, "/": 9, "//": 9, "%": 9, "**": 11},
}
_TRUTHS = {"<", "<=", ">", ">=", "==", "!=", "in", "not"}


def _operator(word: str) -> Callable[[Any, Operand], Expr]:
    return lambda left, right: Call(word, left, right)


def _swapped(word: str) -> Callable[[Any, Operand], Expr]:
    return lambda right, left: Call(word, left, right)


class Expr(ABC):
    """A value that is known once the parameters, the problem and the target are.

    `==` and its kin build expressions, so two Exprs are never equal as objects: compare their `str()`.
    """

    __hash__ = object.__hash__
    strength = ATOM
    is_truth = False
    """Whether the value is True or False whatever the names are; then `&` and `|` skip a side that decides nothing."""

    @abstractmethod
    def value(self, env: Env) -> Column:
        """The expression over the columns of `env` (name -> one value, or an array; arrays broadcast)."""

    @property
    def operands(self) -> tuple[Expr, ...]:
        """What the expression is made of; nothing for a name or a plain value."""
        return ()

    def rebuilt(self, operands: Sequence[Expr]) -> Expr:
        """The same operation over other operands."""
        return self

    def replaced(self, by: Mapping[str, Expr]) -> Expr:
        """The expression with names replaced by expressions."""
        if self.names().isdisjoint(by):
            return self
        return self.rebuilt([operand.replaced(by) for operand in self.operands])

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset().union(*(operand.names() for operand in self.operands))

    def names(self) -> frozenset[str]:
        """Every name the expression reads, such as `BLOCK_M` or `problem.m`."""
        return self._names

    def __bool__(self) -> bool:
        raise SpaceError(f"{_BOOL_REMEDY} (in `{self}`).")

    __add__, __radd__ = _operator("+"), _swapped("+")
    __sub__, __rsub__ = _operator("-"), _swapped("-")
    __mul__, __rmul__ = _operator("*"), _swapped("*")
    __pow__, __rpow__ = _operator("**"), _swapped("**")
    __truediv__, __rtruediv__ = _operator("/"), _swapped("/")
    __floordiv__, __rfloordiv__ = _operator("//"), _swapped("//")
    __mod__, __rmod__ = _operator("%"), _swapped("%")
    __and__, __rand__ = _operator("&"), _swapped("&")
    __or__, __ror__ = _operator("|"), _swapped("|")
    __lt__, __le__ = _operator("<"), _operator("<=")
    __gt__, __ge__ = _operator(">"), _operator(">=")
    __eq__, __ne__ = _operator("=="), _operator("!=")  # type: ignore[assignment]  # they state constraints

    def __invert__(self) -> Expr:
        return Call("not", self)

    def __neg__(self) -> Expr:
        return Call("-", self)

    def __abs__(self) -> Expr:
        return Call("abs", self)


Operand = Expr | int | float | str | bool


class Const(Expr):
    """A plain value."""

    def __init__(self, constant: Value) -> None:
        if isinstance(constant, float) and not math.isfinite(constant):
            raise SpaceError(f"{constant} cannot stand in an expression: numbers are finite.")
        self.constant = constant
        self.is_truth = isinstance(constant, bool)
        if isinstance(constant, int | float) and constant < 0:
            self.strength = 10  # `-3` binds as a sign does

    def value(self, env: Env) -> Column:
        return self.constant

    def __repr__(self) -> str:
        return repr(self.constant)


class Symbol(Expr):
    """A name that is bound later: a parameter, a derived value, `problem.x` or `target.x`."""

    def __init__(self, name: str, is_truth: bool = False) -> None:
        self.name, self.is_truth = name, is_truth

    def value(self, env: Env) -> Column:
        try:
            return env[self.name]
        except KeyError:
            raise UnknownName(self.name, "a name this space can see", env) from None

    def names(self) -> frozenset[str]:
        return frozenset({self.name})

    def replaced(self, by: Mapping[str, Expr]) -> Expr:
        return by.get(self.name, self)

    def __repr__(self) -> str:
        return self.name


class Call(Expr):
    """An operator or function over operands."""

    def __init__(self, function: str, *operands: object) -> None:
        self.function = function
        self._operands = tuple(as_expr(operand) for operand in operands)
        joins_truths = function in ("&", "|") and all(operand.is_truth for operand in self._operands)
        self.is_truth = function in _TRUTHS or joins_truths
        self.word = {"&": "and", "|": "or"}[function] if joins_truths else function
        self.strength = 10 if self._is_sign else _STRENGTHS.get(self.word, ATOM)

    @property
    def operands(self) -> tuple[Expr, ...]:
        return self._operands

    @property
    def _is_sign(self) -> bool:
        return self.function == "-" and len(self._operands) == 1

    def value(self, env: Env) -> Column:
        try:
            return self._value(env)
        except ZeroDivisionError:
            raise SpaceError(f"`{self}` divides by zero: guard it with where(divisor != 0, …, …).") from None
        except (TypeError, OverflowError) as error:
            raise SpaceError(f"`{self}` mixes values that do not go together: {error}.") from None

    def _value(self, env: Env) -> Column:
        if self.word in ("and", "or"):
            left, right = self._operands
            decides = self.word == "or"
            return _branch(left, Const(True) if decides else right, right if decides else Const(False), env)
        result = OPERATIONS[self.function](*(operand.value(env) for operand in self._operands))
        return result.item() if isinstance(result, np.generic) else result

    def rebuilt(self, operands: Sequence[Expr]) -> Expr:
        return Call(self.function, *operands)

    def __repr__(self) -> str:
        first, *rest = self._operands
        if self.word == "in":
            members = ", ".join(map(str, rest))
            return f"{_within(first, 6)} in ({members}{',' * (len(rest) == 1)})"
        if self.strength == ATOM:
            return f"{self.word}({', '.join(map(str, self._operands))})"
        if not rest:
            return f"{'-' if self._is_sign else 'not '}{_within(first, self.strength)}"
        # Comparisons would chain, and a power binds to the right: their left sides are put in brackets too.
        left = self.strength + (self.strength in (5, 11))
        right = self.strength + (self.strength != 11)
        return f"{_within(first, left)} {self.word} {_within(rest[0], right)}"


class Where(Expr):
    """`a` where the condition holds, else `b`; what a row does not take is never evaluated for it."""

    strength = 1

    def __init__(self, condition: object, a: object, b: object) -> None:
        self.parts = (as_expr(condition), as_expr(a), as_expr(b))
        self.is_truth = self.parts[1].is_truth and self.parts[2].is_truth

    @property
    def operands(self) -> tuple[Expr, ...]:
        return self.parts

    def value(self, env: Env) -> Column:
        return _branch(*self.parts, env)

    def rebuilt(self, operands: Sequence[Expr]) -> Expr:
        return Where(*operands)

    def __repr__(self) -> str:
        condition, a, b = self.parts
        return f"{_within(a, 2)} if {_within(condition, 2)} else {_within(b, 1)}"


def _branch(condition: Expr, a: Expr, b: Expr, env: Env) -> Column:
    """Either side on its own rows. Both are computed on all rows first: that is faster, and mostly no side fails."""
    mask = truth(condition.value(env))
    if mask.ndim == 0:
        return (a if mask else b).value(env)
    try:
        return select(mask, a.value(env), b.value(env))
    except SpaceError:
        if mask.all() or not mask.any():
            return (a if mask.all() else b).value(env)
        columns = {name: np.asarray(env[name]) for name in condition.names() | a.names() | b.names()}
        shape = np.broadcast_shapes(*(column.shape for column in columns.values()))
        mask = np.broadcast_to(mask, shape)
        sides = []
        for rows, side in ((mask, a), (~mask, b)):
            part = {name: np.broadcast_to(columns[name], shape)[rows] for name in side.names()}
            sides.append(np.broadcast_to(side.value(part), int(rows.sum())))
        result = np.empty(shape, dtype=select(True, sides[0][:1], sides[1][:1]).dtype)
        result[mask], result[~mask] = sides
        return result


def _within(operand: Expr, strength: int) -> str:
    return str(operand) if operand.strength >= strength else f"({operand})"


def as_expr(operand: object) -> Expr:
    """An operand as an expression. Raises: SpaceError for what is neither an Expr nor a plain value."""
    if isinstance(operand, Expr):
        return operand
    if isinstance(operand, int | float | str | bool):
        return Const(operand)
    raise SpaceError(
        f"{operand!r} cannot stand in an expression: it takes parameters, problem.*, target.* and plain values."
    )
