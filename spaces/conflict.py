"""Conflict: a smallest set of constraints that no config satisfies together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import combinations

Satisfiable = Callable[[Collection[int]], bool]


def smallest_conflict(constraints: Sequence[int], satisfiable: Satisfiable) -> tuple[int, ...]:
    """Of all sets that are not satisfiable, one with the fewest constraints; of equals the first in order.

    Together the constraints must not be satisfiable. Every satisfiable set leaves out at least one member of each
    conflict, so a conflict meets what every largest satisfiable set leaves out: the smallest set that does is tried,
    and either is the conflict or shows one more such set (implicit hitting sets, Ignatiev et al., CP 2015).
    """
    left_out: list[frozenset[int]] = []
    while True:
        tried = _smallest_hitting(left_out)
        if not satisfiable(tried):
            return tried
        grown = set(tried)
        for constraint in constraints:
            if constraint not in grown and satisfiable(grown | {constraint}):
                grown.add(constraint)
        left_out.append(frozenset(constraints) - grown)


def _smallest_hitting(sets: Sequence[frozenset[int]]) -> tuple[int, ...]:
    """The first smallest set that shares a member with each of these."""
    members = sorted(frozenset().union(*sets))
    tries = (chosen for size in range(len(members) + 1) for chosen in combinations(members, size))
    return next(chosen for chosen in tries if all(not one.isdisjoint(chosen) for one in sets))
