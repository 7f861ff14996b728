"""The oracle of spaces: random ones, and their configs by nested loops that ask Python itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from kerntune.spaces import (
    Space,
    ceil_div,
    choice,
    flag,
    in_,
    int_range,
    max_,
    min_,
    permutation,
    position,
    pow2,
    where,
)
from kerntune.spaces.declaration import Declaration
from kerntune.spaces.expressions import Const, Expr

NAMES = {"ceil_div": lambda a, b: -(-a // b), "position": lambda order, item: order.split(",").index(item)}


def value_of(expression: Expr, env: dict[str, Any]) -> Any:
    """What Python makes of the expression's own text."""
    return eval(str(expression), {**NAMES, "min": min, "max": max, "abs": abs}, env)  # noqa: S307 -- the oracle


def configs(declaration: Declaration, without: frozenset[int] = frozenset()) -> Iterator[dict[str, Any]]:
    """Every feasible config in the order of nested loops; some constraints may be left out, by place."""
    yield from _nested(declaration, without, {}, 0)


def _nested(declaration: Declaration, without: frozenset[int], chosen: dict[str, Any], place: int) -> Iterator[Any]:
    if place == len(declaration.parameters):
        if all(_holds(declaration, c, chosen) for i, c in enumerate(declaration.constraints) if i not in without):
            yield chosen
        return
    parameter = declaration.parameters[place]
    condition = declaration.conditions.get(parameter.name)
    if condition is not None and not (
        _readable(declaration, condition, chosen) and _value(declaration, condition, chosen)
    ):
        yield from _nested(declaration, without, chosen, place + 1)
        return
    for value in parameter.values:
        yield from _nested(declaration, without, {**chosen, parameter.name: value}, place + 1)


def _holds(declaration: Declaration, constraint: Any, chosen: dict[str, Any]) -> bool:
    return not _readable(declaration, constraint.expression, chosen) or bool(
        _value(declaration, constraint.expression, chosen)
    )


def _readable(declaration: Declaration, expression: Expr, chosen: dict[str, Any]) -> bool:
    known = {parameter.name for parameter in declaration.parameters}
    return declaration.parameters_read(expression) & known <= chosen.keys()


def _value(declaration: Declaration, expression: Expr, chosen: dict[str, Any]) -> Any:
    env = dict(chosen)
    for name, derived in declaration.derived.items():
        if _readable(declaration, derived, chosen):
            env[name] = value_of(derived, env)
    return value_of(expression, env)


PARAMETERS = {
    "choice": lambda draw, name: choice(name, *draw(st.lists(st.integers(-3, 9), min_size=1, max_size=4, unique=True))),
    "range": lambda draw, name: int_range(name, draw(st.integers(0, 1)), draw(st.integers(2, 5))),
    "pow2": lambda draw, name: pow2(name, 1, draw(st.sampled_from([1, 4, 8]))),
    "mixed": lambda draw, name: choice(name, 0.5, 2, 3.25),
    "flag": lambda draw, name: flag(name),
    "text": lambda draw, name: choice(name, "a", "b"),
    "permutation": lambda draw, name: permutation(name, "m", "n", "k"),
}
NUMERIC = ("choice", "range", "pow2", "mixed")
TRUTHS = {
    "flag": lambda symbol: [symbol == True, symbol != True],  # noqa: E712 -- expressions
    "text": lambda symbol: [symbol == "a"],
    "permutation": lambda symbol: [position(symbol, "k") > position(symbol, "m"), in_(symbol, "m,n,k", "k,n,m")],
}


@st.composite
def spaces(draw: Any) -> Space:
    """A space of up to five parameters of all kinds, with derived values, guarded divisions and nested conditions."""
    space = Space("random")
    numbers: list[Expr] = []
    truths: list[Expr] = []
    for place in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(sorted(PARAMETERS)))
        symbol = space.add(PARAMETERS[kind](draw, f"p{place}"))
        if truths and draw(st.integers(0, 3)) == 0:
            space.when(draw(st.sampled_from(truths)), symbol)
        numbers += [symbol] * (kind in NUMERIC)
        truths += TRUTHS[kind](symbol) if kind in TRUTHS else [draw(_comparisons(numbers))]
    if numbers and draw(st.booleans()):
        numbers.append(space.derive("derived", draw(_sums(numbers))))
    for turn in range(draw(st.integers(0, 4))):
        parts = [draw(_comparisons(numbers)) if numbers else Const(True), *truths]
        left, right = draw(st.sampled_from(parts)), draw(st.sampled_from(parts))
        way = draw(st.sampled_from(["one", "and", "or", "not"]))
        joined = {"one": left, "and": left & right, "or": left | right, "not": ~(left & right)}[way]
        space.require(joined, f"reason {turn}")
    return space


@st.composite
def _sums(draw: Any, numbers: list[Expr]) -> Expr:
    one, two = draw(st.sampled_from(numbers)), draw(st.sampled_from(numbers))
    return draw(
        st.sampled_from(
            [
                one + two,
                one * two - 3,
                one * two * draw(st.sampled_from(numbers)),
                where(two != 0, one % where(two != 0, two, 1), 7),
                ceil_div(one, where(two == 0, 1, two)),
                min_(one, two, 4),
                max_(one, -two),
                abs(one - two) ** 2,
            ]
        )
    )


@st.composite
def _comparisons(draw: Any, numbers: list[Expr]) -> Expr:
    left, right = draw(_sums(numbers)), draw(st.one_of(st.integers(-4, 12), _sums(numbers)))
    guarded = draw(st.sampled_from(numbers))
    return draw(
        st.sampled_from(
            [
                left <= right,
                left > right,
                left == right,
                left != right,
                in_(left, 0, 2, 4, right),
                (guarded == 0) | (left % guarded == 0),
                (guarded != 0) & (left // guarded < 2),
            ]
        )
    )
