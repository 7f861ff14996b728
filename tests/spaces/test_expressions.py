"""Symbolic expressions."""

import numpy as np
import pytest
from kerntune.spaces import Space, ceil_div, in_, max_, min_, pow2, problem, where
from kerntune.spaces.errors import SpaceError, UnknownName
from kerntune.spaces.expressions import Symbol

X, Y = Symbol("x"), Symbol("y")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (X + 2, 9),
        (20 - X, 13),
        (X * Y, 21),
        (X // Y, 2),
        (X % Y, 1),
        (X / 2, 3.5),
        (-X, -7),
        (X > Y, True),
        ((X == 7) & (Y != 3), False),
        ((X == 7) | (Y != 3), True),
        (~(X == 7), False),
        (in_(X, 1, 7), True),
        (min_(X, Y, 5), 3),
        (max_(X, Y, 5), 7),
        (ceil_div(X, Y), 3),
        (where(X > 5, X, Y), 7),
    ],
)
def test_an_expression_means_what_python_means(expression, expected):
    """Over single values each operator gives what Python gives."""
    assert expression.value({"x": 7, "y": 3}) == expected


def test_an_expression_is_evaluated_over_whole_columns():
    """A column in, a column out: one numpy operation, not a loop."""
    env = {"x": np.array([1, 8, 27]), "y": 2}
    assert (X % Y == 0).value(env).tolist() == [False, True, False]


def test_where_evaluates_each_branch_only_on_its_rows():
    """A guarded division does not divide by zero on the rows it guards."""
    env = {"x": np.array([0, 4]), "y": np.array([8, 8])}
    assert where(X == 0, -1, Y // X).value(env).tolist() == [-1, 2]


def test_division_by_zero_is_an_error_that_names_the_expression():
    """No silent zero, infinity or warning."""
    with pytest.raises(SpaceError, match=r"x // y.*divides by zero"):
        (X // Y).value({"x": np.array([1, 2]), "y": np.array([1, 0])})


@pytest.mark.parametrize("misuse", [lambda: X and Y, lambda: not X, lambda: 1 < X < 5, lambda: 1 if X else 2])
def test_python_logic_on_symbols_is_refused_with_the_remedy(misuse):
    """`and`, `not`, chains and `if` cannot be overloaded: silently wrong unless refused."""
    with pytest.raises(SpaceError, match="use `a & b` for `and`"):
        misuse()


def test_an_unknown_name_lists_the_known_ones():
    """A typo in problem.x is found at binding, with what there is."""
    space = Space("s")
    block = space.add(pow2("BLOCK", 16, 64))
    space.require(block <= problem.mm, "a block must fit")
    from kerntune.templates.catalogue import op_named

    with pytest.raises(UnknownName, match=r"problem\.mm.*problem\.m"):
        space.on(op_named("gemm").problem("cpu", m=1, n=1, k=1))
