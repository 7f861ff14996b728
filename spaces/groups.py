"""Groups: parameters that rules link, directly or through others; groups are independent of each other."""

from __future__ import annotations

from collections.abc import Sequence

from .diagram import Budget, Diagram, build
from .product import Product
from .rules import Domain, Rule


def groups(width: int, rules: Sequence[Rule]) -> list[tuple[int, ...]]:
    """Positions 0 … width-1 in independent groups, each ascending, in order of their first."""
    group_of = {position: {position} for position in range(width)}
    for rule in rules:
        joined = set().union(*(group_of[position] for position in rule.positions))
        for position in joined:
            group_of[position] = joined
    return sorted({tuple(sorted(group)) for group in group_of.values()})


def product_of(domains: Sequence[Domain], rules: Sequence[Rule], budget: Budget) -> Product:
    """All combinations of the domains that keep every rule. Raises: SpaceError (`diagram.build`)."""
    empty = any(not rule.positions and not rule.table for rule in rules)  # decided without any parameter
    diagrams: list[Diagram] = []
    for positions in groups(len(domains), rules):
        own = [rule for rule in rules if rule.positions and rule.positions[0] in positions]
        diagrams.append(build(positions, domains, own, budget))
    return Product(diagrams, len(domains), empty=empty)
