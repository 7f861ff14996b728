"""Declaration: what a Space says, frozen, as the enumeration engine reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .canonical import canonical_json, digest
from .expressions import Expr
from .meaning import conjuncts, normal
from .parameters import Parameter


@dataclass(frozen=True, slots=True, eq=False)
class Constraint:
    """What must hold, and why."""

    expression: Expr
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Declaration:
    """Parameters in order, constraints, derived values, and conditions (parameter name -> when it is there at all)."""

    name: str
    parameters: tuple[Parameter, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    derived: Mapping[str, Expr] = field(default_factory=dict)
    conditions: Mapping[str, Expr] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Identity of what the declaration means to a stored config: which configs there are and what they derive.

        Reasons, the order of declaration and of values, and the wording of an expression are none of it.
        """
        return digest(
            {
                "name": self.name,
                "parameters": {p.name: sorted(map(canonical_json, p.values)) for p in self.parameters},
                "constraints": conjuncts(constraint.expression for constraint in self.constraints),
                "conditions": {name: str(normal(condition)) for name, condition in self.conditions.items()},
                "derived": {name: str(normal(expression)) for name, expression in self.derived.items()},
            }
        )

    def parameters_read(self, expression: Expr) -> frozenset[str]:
        """Names an expression reads, through derived values too."""
        names = expression.names()
        for name in names & self.derived.keys():
            names |= self.parameters_read(self.derived[name])
        return names

    def names_read(self) -> frozenset[str]:
        """Every name any expression of the declaration reads."""
        expressions = [*(c.expression for c in self.constraints), *self.derived.values(), *self.conditions.values()]
        return frozenset().union(*(expression.names() for expression in expressions))
