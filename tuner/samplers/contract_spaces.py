"""Spaces on which a sampler shows that it keeps the port's promises: small, odd and huge ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...spaces import Space, choice, constant, flag, int_range, permutation, pow2
from ...spaces.feasible import FeasibleSpace


def conditional() -> FeasibleSpace:
    """40 configs with a parameter that comes with another one's value, an unordered one, and a constraint."""
    space = Space("conditional")
    m, kind = space.add(pow2("M", 16, 128), choice("KIND", "a", "b", "c"))
    split = space.add(choice("SPLIT", 1, 2))
    space.when(split > 1, space.add(choice("REDUCE", "atomic", "workspace", "serial")))
    space.require((m > 16) | (kind == "a"), "small tiles are of kind a")
    return space.on()


def all_conditional() -> FeasibleSpace:
    """Every parameter but the first is absent somewhere: no two configs need have anything else in common."""
    space = Space("all conditional")
    way = space.add(choice("WAY", "none", "tiled", "split"))
    space.when(way == "tiled", space.add(pow2("TILE", 1, 32), flag("PACK")))
    space.when(way == "split", space.add(int_range("PARTS", 2, 8), choice("REDUCE", "atomic", "serial")))
    return space.on()


def unordered() -> FeasibleSpace:
    """Choices, a loop order, and a constant: nothing that a step up or down could be taken in."""
    space = Space("unordered")
    space.add(choice("KIND", "a", "b", "c"), permutation("ORDER", "i", "j", "k"), flag("PACK"), constant("ALIGN", 16))
    return space.on()


def sparse() -> FeasibleSpace:
    """Islands: from hardly any config does a change of one parameter lead to another one."""
    space = Space("sparse")
    a, b, c = space.add(*(int_range(name, 0, 9) for name in "ABC"))
    space.require((a + 2 * b + 3 * c) % 23 == 0, "few of them meet")
    return space.on()


def single() -> FeasibleSpace:
    """One config."""
    space = Space("single")
    a, b = space.add(int_range("A", 1, 4), choice("KIND", "x", "y"))
    space.require((a == 3) & (b == "y"), "only one")
    return space.on()


def wide() -> FeasibleSpace:
    """46,656 configs, as many as a template may have."""
    space = Space("wide")
    space.add(*(int_range(name, 0, 5) for name in "ABCDEF"))
    return space.on()


def huge() -> FeasibleSpace:
    """5 · 10^17 configs of 10^18 combinations: what lists them runs out of memory."""
    space = Space("huge")
    symbols = space.add(*(int_range(f"x{place}", 0, 9) for place in range(18)))
    space.require((symbols[0] + symbols[1]) % 2 == 0, "the first two agree")
    return space.on()


SMALL: Mapping[str, Callable[[], FeasibleSpace]] = {
    "conditional": conditional,
    "all_conditional": all_conditional,
    "unordered": unordered,
    "sparse": sparse,
    "single": single,
}
"""Those that are searched to their end."""
