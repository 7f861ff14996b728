"""Operators over columns give what Python gives for each row."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kerntune.spaces.columns import values_column
from kerntune.spaces.errors import SpaceError
from kerntune.spaces.expressions import Call, Const, Expr, Symbol, Where
from kerntune.spaces.functions import max_, min_, position

BINARY = ["+", "-", "*", "/", "//", "%", "<", "<=", ">", ">=", "==", "!=", "&", "|"]
LISTS: dict[str, tuple[Any, ...]] = {
    "small": (0, 1, 2, 3, 7, -5),
    "large": (2**53 - 1, 2**53 + 1, -(2**40), 3, 10**17, 1),
    "halves": (0.5, -1.5, 2.0, 0.1, 1e300, 3.0),
    "flag": (False, True, True, False, True, False),
}


def trees() -> st.SearchStrategy[Expr]:
    """Expressions over the lists' names and constants."""
    leaves = st.one_of(
        st.sampled_from(sorted(LISTS)).map(Symbol),
        st.integers(-9, 9).map(Const),
        st.sampled_from([True, False, 0.25, 2**60]).map(Const),
    )

    def grow(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        return st.one_of(
            st.tuples(st.sampled_from(BINARY), inner, inner).map(lambda parts: Call(*parts)),
            st.tuples(inner, inner, inner).map(lambda parts: Where(*parts)),
            st.tuples(inner, inner, inner).map(lambda parts: Call("in", *parts)),
            st.tuples(inner, inner).map(lambda parts: min_(*parts)),
            st.tuples(inner, inner).map(lambda parts: max_(*parts)),
            st.tuples(inner, st.integers(0, 4)).map(lambda parts: parts[0] ** parts[1]),
            st.sampled_from(["-", "not", "abs"]).flatmap(lambda word: inner.map(lambda operand: Call(word, operand))),
        )

    return st.recursive(leaves, grow, max_leaves=8)


@settings(max_examples=1500, deadline=None)
@given(trees())
def test_a_column_has_what_python_gives_for_each_row(tree):
    """Exact integers of any size, truth values that count, floats, guards that are not evaluated."""
    rows = [dict(zip(LISTS, values, strict=True)) for values in zip(*LISTS.values(), strict=True)]
    try:
        expected = [oracle.value_of(tree, row) for row in rows]
    except (ZeroDivisionError, OverflowError, TypeError):
        return  # Python refuses a row: there is nothing to agree with
    try:
        with np.errstate(all="ignore"):
            column = tree.value({name: values_column(values) for name, values in LISTS.items()})
    except SpaceError as refused:
        if "grows past 256 bits" in str(refused) or "an exponent is" in str(refused):
            return  # the language's own limits
        raise
    found = np.broadcast_to(np.asarray(column), len(rows)).tolist()
    assert found == expected


@pytest.mark.parametrize(
    "values", [(1, "a"), (True, "yes"), (2**60, 1), (2**80, 0.5), (1, 2.5), ("m,n", "n,m"), (False, True)]
)
def test_listed_values_stay_what_they_are(values):
    """numpy would turn 1 beside "a" into text and 2^60 beside 0.5 into a float."""
    column = values_column(values)
    assert column.tolist() == list(values)


@pytest.mark.parametrize(
    "misuse", [Symbol("t") * 2, Symbol("t") + "b", Symbol("t") % 5, Const("%d") % 5, Const("a") * 9**9]
)
def test_text_is_compared_and_never_computed_with(misuse):
    """`"a" * 10^9` would take a gigabyte, `"%d" % 5` is formatting."""
    with pytest.raises(SpaceError, match="text is only compared"):
        misuse.value({"t": np.array(["a", "b"])})


def test_text_equals_no_number():
    """As in Python: no error, no conversion."""
    assert (Symbol("t") == 1).value({"t": np.array(["1", "2"])}).tolist() == [False, False]


@pytest.mark.parametrize(
    "huge", [Symbol("x") ** 65, Const(2) ** Symbol("x"), (Symbol("x") ** 64) ** 64, Symbol("x") ** 0.5]
)
def test_a_power_that_grows_without_bound_is_refused(huge):
    """Before it is computed."""
    with pytest.raises(SpaceError, match=r"grows past 256 bits|an exponent is an integer from 0 to 64"):
        huge.value({"x": np.array([100, 1000])})


def test_a_guard_shields_what_would_fail_where_it_decides():
    """`and`, `or` and `where` as in Python, row by row, also across arrays of different shapes."""
    x, y = Symbol("x"), Symbol("y")
    env = {"x": np.array([[0], [3]]), "y": np.array([[6, 7]])}
    assert ((x != 0) & (y % x == 0)).value(env).tolist() == [[False, False], [True, False]]
    assert ((x == 0) | (y % x == 0)).value(env).tolist() == [[True, True], [True, False]]
    assert Where(x != 0, y // x, "none").value(env).tolist() == [["none", "none"], [2, 2]]


def test_the_place_of_an_item_in_an_order():
    """Loop orders are compared by where an item stands."""
    orders = np.array(["m,n,k", "k,m,n"])
    assert position(Symbol("o"), "k").value({"o": orders}).tolist() == [2, 0]
    with pytest.raises(SpaceError, match="'q' is not an item"):
        position(Symbol("o"), "q").value({"o": orders})
