"""Groups: parameters that rules link, directly or through others; groups are independent of each other."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

from .diagram import Diagram, build, free
from .errors import SpaceTooLarge
from .growth import Budget
from .product import Product
from .rules import Domain, Rule


def product_of(domains: Sequence[Domain], rules: Sequence[Rule], budget: Budget) -> Product:
    """All combinations of the domains that keep every rule. Raises: SpaceError (`diagram.build`)."""
    empty = any(not rule.positions and not rule.table for rule in rules)  # decided without any parameter
    diagrams: list[Diagram] = []
    for positions in groups(len(domains), rules):
        own = [rule for rule in rules if rule.positions and rule.positions[0] in positions]
        if not own:
            diagrams.append(free(positions[0], domains[positions[0]]))
            continue
        taken_bytes = budget.taken_bytes
        try:
            diagrams.append(build(positions, domains, own, budget))
        except SpaceTooLarge:
            narrow = narrow_order(positions, domains, own)
            if narrow == positions:
                raise
            budget.taken_bytes = taken_bytes
            diagrams.append(build(narrow, domains, [_in_order(rule, narrow) for rule in own], budget))
    return Product(diagrams, len(domains), empty=empty)


def groups(width: int, rules: Sequence[Rule]) -> list[tuple[int, ...]]:
    """Positions 0 … width-1 in independent groups, each ascending, in order of their first."""
    group_of = {position: {position} for position in range(width)}
    for rule in rules:
        joined = set().union(*(group_of[position] for position in rule.positions))
        for position in joined:
            group_of[position] = joined
    return sorted({tuple(sorted(group)) for group in group_of.values()})


STARTS = 4
"""Parameters that are tried as the first of a narrow order."""


def narrow_order(positions: Sequence[int], domains: Sequence[Domain], rules: Sequence[Rule]) -> tuple[int, ...]:
    """An order in which little must be remembered, of some that start with a parameter many rules read and go on with
    the one that leaves the fewest combinations each time. A conditional parameter comes after its condition's."""
    needs = {
        rule.positions[-1]: {*rule.positions[:-1]} for rule in rules if rule.source is None and len(rule.positions) > 1
    }

    def remembered(known: Collection[int]) -> float:
        """Logarithm of the combinations of known parameters that some rule still waits with."""
        waiting = {p for rule in rules if not rule.reads_only(known) for p in rule.positions}
        return sum(math.log(domains[p].size) for p in waiting.intersection(known))

    def greedy(start: int) -> list[int]:
        order = [start]
        while len(order) < len(positions):
            ready = (p for p in positions if p not in order and needs.get(p, set()).issubset(order))
            order.append(min(ready, key=lambda p: remembered({*order, p})))
        return order

    def width(order: list[int]) -> float:
        return sum(math.exp(remembered(set(order[: place + 1]))) for place in range(len(order)))

    readers = {p: sum(p in rule.positions for rule in rules) for p in positions if p not in needs}
    starts = sorted(readers, key=lambda p: -readers[p])[:STARTS]
    orders = [greedy(start) for start in starts]
    narrowest: list[int] = min(orders, key=width)
    return tuple(narrowest)


def _in_order(rule: Rule, order: Sequence[int]) -> Rule:
    """The rule with its positions as they come in this order."""
    sequence = sorted(range(len(rule.positions)), key=lambda axis: order.index(rule.positions[axis]))
    positions, domains = (rule.positions[axis] for axis in sequence), (rule.domains[axis] for axis in sequence)
    return replace(rule, positions=tuple(positions), domains=tuple(domains))
