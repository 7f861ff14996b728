"""SpaceReport: what one template's space holds for a problem on a target, as faces show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..spaces.binding import constants_of
from ..spaces.declaration import Constraint, Declaration
from ..spaces.description import Description, Removal
from ..spaces.expressions import Value
from ..spaces.feasible import FeasibleSpace
from ..spaces.problems import Problem
from ..spaces.targets import Target


@dataclass(frozen=True, slots=True)
class ShownParameter:
    """A parameter as the space of one problem has it."""

    name: str
    values: tuple[Value, ...]
    default: Value
    when: str | None  # the condition of a conditional one
    unused: tuple[Value, ...]  # values of no feasible config

    @property
    def absent(self) -> bool:
        """Whether the parameter is conditional and no feasible config has it."""
        return self.when is not None and self.unused == self.values


@dataclass(frozen=True, slots=True)
class SpaceReport:
    """One template's space, bound, with exact counts."""

    template: str
    parameters: tuple[ShownParameter, ...]
    derived: Mapping[str, str]  # expressions by name
    bound: Mapping[str, Value]  # the fields of problem and target that the space reads
    description: Description
    conflict: tuple[Constraint, ...]

    @property
    def conditions(self) -> int:
        """Configs that fall together because a conditional parameter is absent."""
        return self.description.cartesian - self.description.unconstrained

    def as_json(self) -> dict[str, Any]:
        """size - conditions - the sum of in_turn = feasible."""
        return {
            "size": self.description.cartesian,
            "conditions": self.conditions,
            "feasible": self.description.feasible,
            "parameters": [asdict(parameter) for parameter in self.parameters],
            "derived": dict(self.derived),
            "bound": dict(self.bound),
            "removals": [_removal(removal) for removal in self.description.removals],
            "conflict": [{"reason": c.reason, "constraint": str(c.expression)} for c in self.conflict],
        }


def count_text(count: int | None) -> str:
    """In full below a million millions, else 1.2e+15; a space without a constraint may be too wide to count."""
    if count is None:
        return "too many"
    return f"{count:,}" if count < 10**12 else f"{count:.3g}"


def feasible_text(description: Description) -> str:
    """How many configs of how many are feasible."""
    feasible, cartesian = description.feasible, description.cartesian
    share = feasible / cartesian
    shown = f" ({share:.2%})" if share >= 1e-4 else f" (1 of {cartesian / feasible:.2g})" if feasible else ""
    return f"{count_text(feasible)} of {count_text(cartesian)} configs are feasible{shown}"


def report_of(template: str, feasible: FeasibleSpace, problem: Problem, target: Target) -> SpaceReport:
    """The report of a template's space that was bound to this problem and target."""
    declaration = feasible.declaration
    return SpaceReport(
        template=template,
        parameters=_parameters(feasible),
        derived={name: str(expression) for name, expression in declaration.derived.items()},
        bound=_bound(declaration, problem, target),
        description=feasible.describe(),
        conflict=feasible.conflict,
    )


def _parameters(feasible: FeasibleSpace) -> tuple[ShownParameter, ...]:
    conditions, occurring = feasible.declaration.conditions, feasible.occurring()
    shown = []
    for parameter in feasible.parameters:
        used = frozenset(occurring[parameter.name])
        unused = tuple(value for index, value in enumerate(parameter.values) if index not in used)
        when = str(conditions[parameter.name]) if parameter.name in conditions else None
        shown.append(ShownParameter(parameter.name, parameter.values, parameter.default, when, unused))
    return tuple(shown)


def _bound(declaration: Declaration, problem: Problem, target: Target) -> dict[str, Value]:
    known = constants_of(problem, target)
    return {name: known[name] for name in sorted(declaration.names_read() & known.keys())}


def _removal(removal: Removal) -> dict[str, Any]:
    counts = {"in_turn": removal.in_turn, "alone": removal.alone, "only_it": removal.only_it}
    return {"reason": removal.reason, "constraint": removal.expression, **counts}
