"""Meaning: one form for expressions that hold for the same values, so that a digest is not about their wording."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .errors import SpaceError
from .expressions import Call, Const, Expr

_SWAPPED = {">": "<", ">=": "<="}
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_COMMUTATIVE = {"+", "*", "==", "!=", "and", "or", "min", "max"}
_ASSOCIATIVE = {"and", "or", "min", "max"}  # not + and *: rounding tells their orders apart


def conjuncts(expressions: Iterable[Expr]) -> list[str]:
    """What must hold for all of these to hold, each once, as sorted text."""
    found: set[str] = set()
    for expression in expressions:
        form = normal(expression)
        found.update(map(str, _parts(form, "and")))
    return sorted(found)


def normal(expression: Expr) -> Expr:
    """The expression with constants computed, operands in order, `>` as `<`, and negations at its comparisons.

    To be compared, not evaluated: a guard may come after what it guards.
    """
    if not expression.operands:
        return expression
    if not expression.names():
        return _computed(expression)
    operands = [normal(operand) for operand in expression.operands]
    if not isinstance(expression, Call):
        return expression.rebuilt(operands)
    word = expression.word
    if word == "not":
        return _negation(operands[0])
    if word == "in":
        item, *members = operands
        return Call("in", item, *sorted({str(member): member for member in members}.values(), key=str))
    if word in _SWAPPED:
        return Call(_SWAPPED[word], *reversed(operands))
    if word in _ASSOCIATIVE:
        operands = list({str(part): part for operand in operands for part in _parts(operand, word)}.values())
    if word in _COMMUTATIVE:
        operands.sort(key=str)
    if word in ("and", "or"):
        return _joined(expression.function, operands)
    return operands[0] if word in ("min", "max") and len(operands) == 1 else Call(expression.function, *operands)


def _parts(expression: Expr, word: str) -> list[Expr]:
    if isinstance(expression, Call) and expression.word == word:
        return [part for operand in expression.operands for part in _parts(operand, word)]
    return [expression]


def _joined(function: str, operands: list[Expr]) -> Expr:
    """All operands under one operator, as a tree whose depth is the logarithm of their number."""
    while len(operands) > 1:
        pairs = zip(operands[::2], operands[1::2], strict=False)
        operands = [Call(function, *pair) for pair in pairs] + operands[len(operands) // 2 * 2 :]
    return operands[0]


def _negation(form: Expr) -> Expr:
    if isinstance(form, Call) and form.word in _NEGATED:
        return normal(Call(_NEGATED[form.word], *form.operands))
    if isinstance(form, Call) and form.word in ("and", "or"):
        other = "|" if form.word == "and" else "&"
        return normal(_joined(other, [_negation(operand) for operand in form.operands]))
    if isinstance(form, Call) and form.word == "not" and form.operands[0].is_truth:
        return form.operands[0]
    return Call("not", form)


def _computed(expression: Expr) -> Expr:
    try:
        value = expression.value({})
    except SpaceError:  # it fails, and says so when the space is used
        return expression
    return Const(value.item() if isinstance(value, np.generic | np.ndarray) else value)
