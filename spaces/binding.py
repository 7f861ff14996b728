"""Binding: a declaration with the problem and the target put in, as rules over its parameters alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .declaration import Declaration
from .errors import SpaceError, UnknownName
from .expressions import Const, Expr, Value
from .problems import Problem
from .rules import Domain, Rule
from .targets import Target


def constants_of(problem: Problem | None, target: Target | None) -> dict[str, Value]:
    """`problem.x` and `target.x` by name."""
    bound = (("problem", problem), ("target", target))
    return {f"{scope}.{name}": value for scope, of in bound if of is not None for name, value in of.symbols().items()}


def bound_values(declaration: Declaration, constants: Mapping[str, Value], config: Mapping[str, Any]) -> dict[str, Any]:
    """Constants, the config's values, and the derived values that apply to it, by name."""
    env: dict[str, Any] = {**constants, **config}
    for name, expression in declaration.derived.items():
        if expression.names() <= env.keys():
            value = expression.value(env)
            env[name] = value.item() if isinstance(value, np.generic | np.ndarray) else value
    return env


def domains_of(declaration: Declaration) -> list[Domain]:
    """What each parameter may be in a diagram, in order."""
    return [Domain(p.name, p.values, p.name in declaration.conditions) for p in declaration.parameters]


def bound_rules(
    declaration: Declaration, constants: Mapping[str, Value], domains: Sequence[Domain]
) -> tuple[Rule, ...]:
    """Conditions and constraints, in this order, with constants and derived values put in.

    `constants` are `problem.x` and `target.x` by name, `domains` those of the declaration.
    Raises: UnknownName for a name nothing binds, SpaceError for a condition on a later parameter.
    """
    places = {parameter.name: place for place, parameter in enumerate(declaration.parameters)}
    meaning = _meanings(declaration, constants)

    def rule(expression: Expr, decides: int | None = None, source: int | None = None) -> Rule:
        bound = expression.replaced(meaning)
        for name in sorted(bound.names() - places.keys()):
            raise UnknownName(name, "a name this space can see", {*places, *meaning})
        read = {places[name] for name in bound.names()}
        if decides is not None:
            late = [declaration.parameters[place].name for place in sorted(read) if place >= decides]
            if late:
                own = declaration.parameters[decides].name
                raise SpaceError(f"when({expression}, {own}): add {', '.join(late)} before it.")
            read.add(decides)
        positions = tuple(sorted(read))
        return Rule(bound, positions, tuple(domains[place] for place in positions), source)

    conditions = (rule(condition, decides=places[name]) for name, condition in declaration.conditions.items())
    constraints = (rule(c.expression, source=place) for place, c in enumerate(declaration.constraints))
    return (*conditions, *constraints)


def _meanings(declaration: Declaration, constants: Mapping[str, Value]) -> dict[str, Expr]:
    """What each name that is no parameter stands for: constants, and derived values in terms of parameters."""
    meaning: dict[str, Expr] = {name: Const(value) for name, value in constants.items()}

    def resolve(name: str, within: tuple[str, ...]) -> None:
        if name in within:
            raise SpaceError(f"derived values need each other: {' -> '.join((*within, name))}.")
        expression = declaration.derived[name]
        for other in sorted(expression.names() & declaration.derived.keys() - meaning.keys()):
            resolve(other, (*within, name))
        meaning[name] = expression.replaced(meaning)

    for name in declaration.derived:
        if name not in meaning:
            resolve(name, ())
    return meaning
