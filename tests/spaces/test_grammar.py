"""Constraints as text."""

import contextlib
import operator
import warnings
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kerntune.spaces import Space, ceil_div, in_, max_, min_, problem, where
from kerntune.spaces.errors import SpaceError, UnknownName
from kerntune.spaces.expressions import Const, Expr, Symbol, Where
from kerntune.spaces.grammar import parse

KNOWN = ("A", "B", "T")

NAMESPACE = {
    **{"min": min, "max": max, "min_": min, "max_": max, "abs": abs, "range": range, "list": list},
    "ceil_div": lambda a, b: -(-a // b),
    "in_": lambda item, *members: item in members,
    "where": lambda condition, a, b: a if condition else b,
}


def oracle(text: str, names: dict) -> object:
    """The value Python itself gives, or the kind of its error."""
    try:
        return eval(text, dict(NAMESPACE), names)  # noqa: S307 -- the oracle
    except (ZeroDivisionError, TypeError, OverflowError) as error:
        return type(error)


def bindings() -> list[dict]:
    return [{"A": a, "B": b, "T": t} for a in (0, 1, 2, 7, -3) for b in (0, 1, 2.5, True) for t in ("x", "")]


@pytest.mark.parametrize(
    "text",
    [
        "A % B == 0",
        "A * 2 <= B + 3 and not A == B",
        "2 <= A < 8 != B",
        "A in [1, 2, 4] or B not in (3,)",
        "A in {1, 2} and T in ['x', 'y']",
        "(A if A > B else B) == 4",
        "min(A, B) >= 1 and max(A, B, 3) < 9",
        "min([A, B]) + max((A, B)) + min_(A, 1) - max_(A, 2)",
        "A // B + A / B - -A > 0",
        "A ** 2 ** 1 - (-A) ** 3 + -A ** 2",
        "abs(A - B) + +A",
        "-True + +True",
        "ceil_div(A, 4) * ceil_div(-7, 2)",
        "A or B",
        "A and B or T",
        "T and A and B > 1",
        "not T or (A or 3) + 1",
        "A & 3 | 4",
        "(A > 1) & (B < 2) | (T == 'x')",
        "(A > 1) & 3",
        "where(A, B, T)",
        "in_(A, 1, 2, B)",
        "A in range(0, 8, 2) and A not in range(2)",
        "A in [2 * i for i in range(4) if i != 2] + list(range(7, 9))",
        "A in [] or A in range(0)",
        "B == 0 or A % B == 1",
        "B != 0 and A // B > 1",
        "T < 'y' < 'z' or A == T",
        "1_000 + 0x10 + 1e3 == A",
        "  A > 1  # a comment",
    ],
)
def test_text_has_the_value_that_python_gives_it(text):
    """Within the grammar a constraint is the Python expression it looks like; where Python fails, so does it."""
    expression = parse(text, KNOWN)
    for names in bindings():
        expected = oracle(text, names)
        if isinstance(expected, type):
            continue
        assert expression.value(names) == expected, names


@pytest.mark.parametrize("text", ["B == 0 or A % B == 0", "(A > 1) & (T == 'x') or not A", "A in range(4)"])
def test_python_failing_means_a_space_error(text):
    """A division by zero is no value."""
    for names in bindings():
        if isinstance(oracle(text, names), type):
            with pytest.raises(SpaceError):
                parse(text, KNOWN).value(names)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("__import__('os').system('true')", "Call is not part"),
        ("A.__class__", "Attribute is not part"),
        ("problem.__class__", "Attribute is not part"),
        ("[x for x in (1, 2)]", "ListComp is not part"),
        ("(lambda: 1)()", "Call is not part"),
        ("A ** 10 ** 10", "an exponent is an integer from 0 to 64"),
        ("2 ** -1", "an exponent is"),
        ("f'{A}'", "JoinedStr is not part"),
        ("A := 3", "is not an expression"),
        ("(A := 3)", "NamedExpr is not part"),
        ("open('x')", "Call is not part"),
        ("A[0]", "Subscript is not part"),
        ("A is B", "Is is not part"),
        ("A << 1", "LShift is not part"),
        ("A @ B", "MatMult is not part"),
        ("min(A)", "min takes 2 or more arguments, not 1"),
        ("min(*[1, 2])", "min takes 2 or more"),
        ("max([])", "max takes 2 or more arguments, not 0"),
        ("max(A, B, key=abs)", "Call is not part"),
        ("ceil_div(A)", "ceil_div takes 2 arguments, not 1"),
        ("position(T, A)", "an item as text"),
        ("~A", "write not"),
        ("", "is not an expression"),
        ("A ==", "is not an expression"),
        ("A in B", "Name is no list of values"),
        ("A in 'xyz'", "Constant is no list of values"),
        ("A in range(2000)", "2,000 items are too many"),
        ("A > 1e999", "finite numbers"),
        ("A > 10 ** 18 + 1000000000000000001", "integers not above"),
        ("A == 1j", "complex values are not part"),
        ("A == b'x'", "bytes values are not part"),
        ("A == None", "NoneType values are not part"),
        ("A == '\\x00'", "without null characters"),
        ("A == '\\ud800'", "lone surrogates"),
        ("A == '\ud800'", "is not an expression"),
        ("A == '\0'", "is not an expression"),
        ("A > " + "9" * 5000, "is not an expression"),
        ("A" + " + A" * 600, "nested deeper than 160"),
        ("A" + " + A" * 6000, "24,001 characters"),
        ("(" * 300 + "A" + ")" * 300, "is not an expression"),
        ("-" * 200 + "A", "nested deeper than 160"),
        ("(1 < " * 30 + "A" + " < 2)" * 30, "more than 2,000 operands"),
    ],
)
def test_anything_outside_the_grammar_is_refused_with_the_reason(text, why):
    """Text from a file is data: it is read, never run, and a limit refuses what is huge."""
    with pytest.raises(SpaceError, match=why) as raised:
        parse(text, KNOWN)
    assert len(str(raised.value)) < 500


def test_a_tilde_before_a_truth_value_means_not():
    """As in expressions written with symbols."""
    assert str(parse("~(A > 1)", KNOWN)) == "not A > 1"


def test_a_long_sum_is_read_printed_and_evaluated():
    """Terms of a sum lean to the left in Python's tree: 150 of them are no recursion too deep."""
    text = " + ".join(["A"] * 150)
    expression = parse(text, KNOWN)
    assert str(expression) == text
    assert expression.value({"A": 2}) == 300


@pytest.mark.parametrize("text", ["1if A else 2", "A == '\\d'", "1or A", "A in (1)(2)", "'x' 'y'[0]"])
def test_what_python_warns_of_warns_nobody(text):
    """A warning about a text from a file has no place in the caller's program."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with contextlib.suppress(SpaceError):
            parse(text, KNOWN)
    assert seen == []


def test_an_unknown_parameter_is_named():
    """A typo says what there is."""
    with pytest.raises(UnknownName, match=r'"C" is not a parameter.*Known: A, B'):
        parse("C > 1", KNOWN)


def test_names_are_compared_as_python_reads_them():
    """Python's parser turns the ligature ﬁ into fi, so both spellings are one name."""
    assert str(parse("ﬁ > 1", ["ﬁ"])) == "ﬁ > 1"
    assert str(parse("fi > 1", ["ﬁ"])) == "ﬁ > 1"
    assert str(parse("ﬁ > 1", ["fi"])) == "fi > 1"
    with pytest.raises(SpaceError, match="reads the names ﬁ and fi as one"):
        parse("ﬁ > 1", ["ﬁ", "fi"])


def test_from_text_gives_the_feasible_configs():
    """The interface's own example, with values as a list and as text."""
    for widths in ([1, 2, 3], "range(1, 4)"):
        space = Space.from_text("gemm", {"MWG": [16, 32, 64], "VWM": widths}, ["MWG % VWM == 0"])
        assert len(space.on()) == 6


@pytest.mark.parametrize("values", [5, None, {"a": 1}, {1, 2}, "abc", ["a", None], [[1]], "[None]", [float("nan")], []])
def test_values_that_are_no_list_are_refused_by_the_name_of_their_parameter(values):
    """A space has many parameters: the error says which."""
    with pytest.raises(SpaceError, match="parameter MWG"):
        Space.from_text("gemm", {"MWG": values})


def expressions() -> st.SearchStrategy[Expr]:
    """Any expression of the language over A and B (numbers) and T (text)."""
    numbers = st.sampled_from([Symbol("A"), Symbol("B"), problem.m]) | st.integers(-9, 9).map(Const)
    leaves = (
        numbers | st.floats(-4, 4).map(Const) | st.booleans().map(Const) | st.sampled_from([Symbol("T"), Const("x'\\")])
    )
    binary = [operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, operator.truediv, operator.pow]
    binary += [
        operator.lt,
        operator.le,
        operator.gt,
        operator.ge,
        operator.eq,
        operator.ne,
        operator.and_,
        operator.or_,
    ]
    binary += [min_, max_, ceil_div, in_]

    def grown(parts: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        return (
            st.builds(lambda make, a, b: make(a, b), st.sampled_from(binary), parts, parts)
            | st.builds(where, parts, parts, parts)
            | st.builds(in_, parts, parts, parts)
            | st.builds(lambda make, a: make(a), st.sampled_from([operator.neg, abs, operator.invert]), parts)
            | st.builds(lambda a, b: Where(a, a, b), parts, parts)
        )

    return st.recursive(leaves, grown, max_leaves=8)


def outcome(expression: Expr, names: dict) -> object:
    try:
        return comparable(expression.value(names))
    except SpaceError:
        return "no value"


def comparable(value: object) -> object:
    """The value; a word for NaN (`inf // 7`), which differs from itself."""
    return "not a number" if value != value else value


@given(expression=expressions())
def test_any_expression_has_the_value_that_python_gives_its_text(expression):
    """Wherever there is a value at all: text is not computed with, and exponents have a limit."""
    for names in bindings():
        value = outcome(expression, {**names, "problem.m": 4})
        if value != "no value":
            python = comparable(oracle(str(expression), {**names, "problem": SimpleNamespace(m=4)}))
            assert python == value, f"{expression} {names}"


@given(expression=expressions())
@example(expression=parse("A // 2.1512868678013194e-308 // A", KNOWN))  # inf // 7
def test_printed_text_reads_back_to_the_same_values(expression):
    """str() of an expression is a text of the grammar, with the same value for every binding."""
    read = None
    with contextlib.suppress(SpaceError):
        read = parse(str(expression), KNOWN)
    if read is None:  # an exponent no value could mend is refused when it is read, not when it is evaluated
        assert "**" in str(expression)
        return
    for names in bindings():
        names["problem.m"] = 4
        assert outcome(read, names) == outcome(expression, names), f"{expression} -> {read}"
    assert str(parse(str(read), KNOWN)) == str(read)
