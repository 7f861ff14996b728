"""Description: what a space holds, and how many configs each of its constraints removes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .declaration import Constraint, Declaration
from .rules import Rule


@dataclass(frozen=True, slots=True)
class Removal:
    """What one constraint removes, in configs; None where the space without the others is too wide to count."""

    reason: str
    expression: str
    in_turn: int | None
    """Of those that the constraints before it leave."""
    alone: int | None
    """Of all, were it the only constraint."""
    only_it: int | None
    """Those that would come back without it."""


@dataclass(frozen=True, slots=True)
class Description:
    """Counts are exact. `unconstrained` are the configs when only conditional parameters are heeded."""

    name: str
    parameters: tuple[tuple[str, int], ...]  # and how many values each has
    cartesian: int
    unconstrained: int
    removals: tuple[Removal, ...]
    feasible: int

    def __str__(self) -> str:
        lines = [f"space {self.name}: {self.feasible:,} of {self.cartesian:,} configs are feasible"]
        lines += [f"  {name}: {values:,} values" for name, values in self.parameters]
        lines += [f"{'in turn':>16}{'alone':>16}{'only it':>16}  removed by"]
        for removal in self.removals:
            counts = (removal.in_turn, removal.alone, removal.only_it)
            shown = "".join(f"{'too many' if count is None else f'{count:,}':>16}" for count in counts)
            lines.append(f"{shown}  {removal.reason}")
        return "\n".join(lines)


def describe(
    declaration: Declaration, rules: Sequence[Rule], count: Callable[[Sequence[Rule]], int | None]
) -> Description:
    """Counts by constraint; `count` tells how many configs keep some of the rules, or None where it cannot."""
    conditions = [rule for rule in rules if rule.source is None]
    constraints = [rule for rule in rules if rule.source is not None]
    free, everything = count(conditions), count(rules)
    assert free is not None  # conditions read earlier parameters only
    assert everything is not None  # it was counted before
    removals = []
    left: int | None = free
    for turn, rule in enumerate(constraints):
        assert rule.source is not None  # it is a constraint
        after = count([*conditions, *constraints[: turn + 1]])
        removals.append(
            _removal(
                declaration.constraints[rule.source],
                in_turn=_less(left, after),
                alone=_less(free, count([*conditions, rule])),
                only_it=_less(count([other for other in rules if other is not rule]), everything),
            )
        )
        left = after
    parameters = tuple((parameter.name, len(parameter.values)) for parameter in declaration.parameters)
    cartesian = 1
    for _, values in parameters:
        cartesian *= values
    return Description(declaration.name, parameters, cartesian, free, tuple(removals), everything)


def _removal(constraint: Constraint, **counts: int | None) -> Removal:
    return Removal(constraint.reason, str(constraint.expression), **counts)


def _less(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else before - after
