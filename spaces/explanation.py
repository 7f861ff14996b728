"""Explanation: why a config is refused, in the words of its space, with the numbers on both sides and their unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .binding import bound_values
from .declaration import Declaration
from .expressions import Call, Env, Expr, Value, Where

FEASIBLE = "it is feasible"

_UNITS = {"bytes": "bytes", "us": "µs", "ms": "ms", "s": "s", "kib": "KiB", "mib": "MiB", "gib": "GiB", "flops": "FLOP"}
"""The unit that the last word of a name says."""


_REFUSED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "==", "in": "not in"}


def explain(declaration: Declaration, constants: Mapping[str, Value], config: Mapping[str, Any]) -> str:
    """Why a config is outside the space, or "it is feasible"; `constants` are `problem.x` and `target.x` by name."""
    by_name = {parameter.name: parameter for parameter in declaration.parameters}
    for name, value in config.items():
        if name not in by_name:
            return f"{name} is not a parameter (known: {', '.join(by_name)})"
        if not isinstance(value, int | float | str) or value not in by_name[name].places:
            return f"{name}={value!r} is not one of {list(by_name[name].values)}"
    env = bound_values(declaration, constants, config)
    for name in by_name:
        condition = declaration.conditions.get(name)
        wanted = condition is None or (_applies(declaration, condition, config) and bool(condition.value(env)))
        if wanted != (name in config):
            return f"{name} is {'missing' if wanted else f'only there when {condition}'}"
    for constraint in declaration.constraints:
        if _applies(declaration, constraint.expression, config) and not constraint.expression.value(env):
            return f"{constraint.reason} ({refusal(constraint.expression, env)})"
    return FEASIBLE


def _applies(declaration: Declaration, expression: Expr, config: Mapping[str, Any]) -> bool:
    """Whether every parameter that an expression reads is there."""
    read = declaration.parameters_read(expression) & {parameter.name for parameter in declaration.parameters}
    return read <= config.keys()


def refusal(expression: Expr, env: Env) -> str:
    """What makes an expression false, with numbers: `smem_bytes = 114,688 bytes > 101,376 bytes`."""
    if isinstance(expression, Call):
        if expression.word == "and":
            return next(refusal(side, env) for side in expression.operands if not side.value(env))
        if expression.word == "or":
            return " and ".join(refusal(side, env) for side in expression.operands)
        if expression.strength == 5:
            left, *right = expression.operands
            unit = _unit(expression)
            others = ", ".join(_side(side, env, unit) for side in right)
            others = f"({others})" if expression.word == "in" else others
            return f"{_side(left, env, unit)} {_REFUSED[expression.word]} {others}"
    if isinstance(expression, Where):
        condition, a, b = expression.parts
        holds = bool(condition.value(env))
        return f"{refusal(a if holds else b, env)}, as {condition} is {holds}"
    return f"{expression} is {_number(expression.value(env))}"


def _side(side: Expr, env: Env, unit: str) -> str:
    shown = _number(side.value(env)) + unit
    return f"{side} = {shown}" if side.names() else shown


def _number(value: Any) -> str:
    plain = value.item() if isinstance(value, np.generic | np.ndarray) else value
    number = isinstance(plain, int | float) and not isinstance(plain, bool)
    return f"{plain:,}" if number else repr(plain)


def _unit(expression: Expr) -> str:
    """The unit that the names of a comparison agree on, with a space before it, or nothing."""
    units = {unit for side in expression.operands for unit in _units(side)}
    return f" {units.pop()}" if len(units) == 1 else ""


def _units(side: Expr) -> set[str]:
    """Units of the terms of a side; a quotient or a remainder has none that its names tell."""
    if isinstance(side, Call) and side.function in ("/", "//", "%", "ceil_div", "*", "**"):
        return set()
    return {_UNITS[word] for name in side.names() if (word := name.rsplit("_", 1)[-1]) in _UNITS}
