"""Lists of values as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kerntune.spaces.errors import SpaceError
from kerntune.spaces.lists import Allowance, read_values


def exact(values: object) -> list[tuple[type, object]]:
    """Values with their types: 1, 1.0 and True are equal and not the same."""
    return [(type(value), value) for value in values]


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2, 4]",
        "(1, 2)",
        "1, 2",
        "[]",
        "list(range(32, 1024+1, 32))",
        "range(1, 9)",
        "range(8, 0, -2)",
        "[2**i for i in range(0, 6)]",
        "[16*i for i in range(1,9)]",
        "[i for i in range(3, 35, 2) if i % 4 == 3 if i > 5]",
        "[i * j for i in range(4) if i for j in (1, 10) if i * j != 20]",
        "[i for i in range(2) for i in range(3)]",
        "[1, 2, 4] + list(range(32, 1025, 32)) + [7]",
        "(1,) + tuple(range(3))",
        "[*range(3), 9, *[4]]",
        "sorted([3, 1, 2] + [0])",
        "sorted(-i for i in range(4))",
        "tuple(i / 2 for i in range(4))",
        "['best1bin', 'rand1exp']",
        "['x' if i > 1 else i for i in range(3)]",
        "[True, False]",
        "[not i for i in range(2)]",
        "[i and 7 or 0.5 for i in range(3)]",
        "[i if i > 1 else 0.5 for i in range(4)]",
        "[1 // i for i in range(3) if i != 0 and 2 // i]",
        "[0.1, .5, -1e3, 1_000, 0x10]",
        "[min(i, 2) + abs(-i) for i in range(4)]",
        "[i in (1, 2) for i in [1, 'a', 2.0]]",
        "[2 ** 59, 10 ** 18, -10 ** 18]",
        "[7 for i in range(3)]",
        "[1 // 0 for i in range(0)]",
    ],
)
def test_a_list_has_the_values_that_python_gives_it(text):
    """Same values, same order, same types."""
    expected = eval(text)  # noqa: S307 -- the oracle
    assert exact(read_values(text)) == exact(expected)


@given(
    start=st.integers(-20, 20),
    count=st.integers(0, 20),
    step=st.integers(1, 9) | st.integers(-9, -1),
    power=st.integers(0, 3),
    divisor=st.integers(1, 4),
)
def test_any_comprehension_equals_pythons(start, count, step, power, divisor):
    """The kind of list that is published: an arithmetic progression, mapped and filtered."""
    text = f"[i**{power} - i % 3 / 2 for i in range({start}, {start + step * count}, {step}) if i % {divisor} == 0]"
    assert exact(read_values(text)) == exact(eval(text))  # noqa: S307 -- the oracle


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not an expression"),
        ("[1, 2", "is not an expression"),
        ("5", "Constant is no list"),
        ("'abc'", "Constant is no list"),
        ("{1, 2}", "Set is no list"),
        ("{1: 2}", "Dict is no list"),
        ("A", "Name is no list"),
        ("(i for i in range(3))", "GeneratorExp is no list"),
        ("[[1], [2]]", "List is not part"),
        ("[None]", "NoneType values"),
        ("[1j]", "complex values"),
        ("[A]", "a list reads no names"),
        ("[1] * 10", "only joined with \\+"),
        ("[1] + range(3)", "only lists are joined with lists"),
        ("[1] + (2,)", "only lists are joined with lists"),
        ("range(1.5)", "cannot be made"),
        ("range('a')", "cannot be made"),
        ("range(0, 5, 0)", "cannot be made"),
        ("range()", "cannot be made"),
        ("range(stop=3)", "a call here is"),
        ("set([1])", "a call here is"),
        ("list()", "a call here is"),
        ("sorted([1, 'a'])", "no common order"),
        ("open('x')", "a call here is"),
        ("[__import__('os').system('true')]", "Call is not part"),
        ("[i for i in ().__class__.__bases__]", "Attribute is no list"),
        ("[x for x, y in [1]]", "one name"),
        ("[x async for x in [1]]", "is not an expression|one name"),
        ("[j for i in range(3) for j in range(i)]", "a clause reads none"),
        ("[1 for i in [1] for j in [1] for k in [1]]", "one or two for clauses"),
        ("[1 // 0]", "divides by zero"),
        ("[1e999]", "finite numbers"),
        ("[i * 1e308 for i in [10]]", "finite numbers"),
        ("[10 ** 18 + 1]", "integers not above"),
        ("[2 ** i for i in range(64)]", "integers not above"),
        ("['\\x00']", "null characters"),
        ("range(10**12)", "1,000,000,000,000 items are too many"),
        ("range(10**18 * 100)", "integers not above"),
        ("[i for i in range(10**6) for j in range(10**6)]", "too many"),
        ("list(range(600000)) + list(range(600000))", "1,200,000 items are too many"),
        ("[*range(600000), *range(600000)]", "1,200,000 items are too many"),
        ("list(" * 20 + "[1]" + ")" * 20, "nested deeper than 8"),
        ("[" + "1, " * 100_000 + "]", "300,002 characters"),
        ("[1]" + " + [1]" * 20_000, "is not an expression|only"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text, why):
    """What is huge is refused before it is made, and nothing is run."""
    with pytest.raises(SpaceError, match=why) as raised:
        read_values(text)
    assert len(str(raised.value)) < 500


def test_lists_that_are_thrown_away_count_too():
    """A document cannot make a million items a thousand times and keep none."""
    allowance = Allowance(2_500)
    read_values("[i for i in range(1000) if i < 0]", allowance)
    with pytest.raises(SpaceError, match="too many"):
        [read_values("[i for i in range(1000) if i < 0]", allowance) for _ in range(2)]
