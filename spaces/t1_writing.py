"""A Space written as T1 JSON, so that other tools read it: plain Python, with problem, target and derived values in.

T1 has no parameters that are absent at times: where one is absent it is pinned to its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from .binding import bound_rules, constants_of, domains_of
from .errors import SpaceError, UnknownName
from .expressions import Call, Expr, Symbol
from .grammar import parse
from .lists import read_values
from .parameters import Parameter
from .plain_text import Listed, plain
from .problems import Problem
from .reader import joined
from .space import Space
from .t1 import TYPES, has_type
from .targets import Target

FORMAT_VERSION = 1

_SHORT_LIST = 8  # more values in equal steps are written as a range


def to_t1(space: Space, problem: Problem | None = None, target: Target | None = None) -> dict[str, Any]:
    """The space for one problem and target as a T1 document, which `from_t1` reads back to the same configs.

    Raises: SpaceError for what T1 cannot say, UnknownName for a name nothing binds.
    """
    declaration = space.declaration
    rules = bound_rules(declaration, constants_of(problem, target), domains_of(declaration))
    listed = {parameter.name: parameter.values for parameter in space.parameters}
    # bound_rules keeps the order: conditions as they were declared, then constraints.
    conditions = {name: rule.expression for name, rule in zip(declaration.conditions, rules, strict=False)}
    constraints = [rule.expression for rule in rules[len(conditions) :]]
    entries = [_pinned(parameter, conditions, listed) for parameter in space.parameters if parameter.name in conditions]
    for constraint, expression in zip(declaration.constraints, constraints, strict=True):
        absent = [Call("not", presence) for presence in _presences(expression, conditions)]
        guarded = reduce(lambda right, left: joined("or", left, right), reversed(absent), expression)
        entries.append({**_condition(guarded, listed), "Reason": constraint.reason})
    return {
        "General": {"BenchmarkName": space.name, "FormatVersion": FORMAT_VERSION},
        "ConfigurationSpace": {
            "TuningParameters": [_parameter(parameter) for parameter in space.parameters],
            "Conditions": entries,
        },
    }


def _presences(expression: Expr, conditions: Mapping[str, Expr]) -> list[Expr]:
    """When each conditional parameter that an expression reads is there, those it depends on first."""
    needed: dict[str, Expr] = {}

    def need(names: frozenset[str]) -> None:
        for name in sorted(names & conditions.keys() - needed.keys()):
            need(conditions[name].names())
            needed[name] = conditions[name]

    need(expression.names())
    return list(needed.values())


def _pinned(parameter: Parameter, conditions: Mapping[str, Expr], listed: Listed) -> dict[str, Any]:
    """The default wherever the parameter is absent."""
    condition = conditions[parameter.name]
    there = reduce(
        lambda right, left: joined("and", left, right), reversed(_presences(condition, conditions)), condition
    )
    pin = joined("or", there, Symbol(parameter.name) == parameter.default)
    return {**_condition(pin, listed), "When": {parameter.name: _written(condition, listed)}}


def _condition(expression: Expr, listed: Listed) -> dict[str, Any]:
    return {"Expression": _written(expression, listed), "Parameters": sorted(expression.names())}


def _written(expression: Expr, listed: Listed) -> str:
    """Plain Python text. Raises: SpaceError for text that could not be read back."""
    text = str(plain(expression, listed))
    try:
        parse(text, listed)
    except (SpaceError, UnknownName) as error:
        raise SpaceError(f"T1 cannot say a constraint on {', '.join(sorted(expression.names()))}: {error}") from None
    return text


def _parameter(parameter: Parameter) -> dict[str, Any]:
    values = parameter.values
    kind = next((kind for kind in TYPES if kind != "uint" and all(has_type(value, kind) for value in values)), None)
    if kind is None:
        raise SpaceError(f"parameter {parameter.name} mixes numbers, text or truth values: T1 has one type for all.")
    text = _list_text(parameter)
    try:
        read_values(text)
    except SpaceError as error:
        raise SpaceError(f"T1 cannot list the values of parameter {parameter.name}: {error}") from None
    return {"Name": parameter.name, "Type": kind, "Values": text, "Default": parameter.default}


def _list_text(parameter: Parameter) -> str:
    values: Any = parameter.values
    if len(values) > _SHORT_LIST and all(has_type(value, "int") for value in values):
        step = values[1] - values[0]
        listed = range(values[0], values[-1] + (1 if step > 0 else -1), step)
        if len(listed) == len(values) and tuple(listed) == values:
            return f"list({listed!r})"
    return repr(list(values))
