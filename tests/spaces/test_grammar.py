"""Constraints as text."""

import pytest
from kerntune.spaces import Space
from kerntune.spaces.errors import SpaceError, UnknownName
from kerntune.spaces.grammar import parse

KNOWN = ("A", "B")


@pytest.mark.parametrize(
    "text",
    [
        "A % B == 0",
        "A * 2 <= B + 3 and not A == B",
        "2 <= A < 8",
        "A in [1, 2, 4] or B not in (3,)",
        "(A if A > B else B) == 4",
        "min(A, B) >= 1 and max(A, B, 3) < 9",
        "A // B + A / B - -A > 0",
    ],
)
def test_text_means_what_python_means(text):
    """Within the grammar a constraint is the Python expression it looks like."""
    for a in (1, 2, 4, 8):
        for b in (1, 2, 3):
            expected = eval(text, {"A": a, "B": b, "min": min, "max": max})  # noqa: S307 -- the oracle
            assert bool(parse(text, KNOWN).value({"A": a, "B": b})) == bool(expected)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "A.__class__",
        "[x for x in (1, 2)]",
        "(lambda: 1)()",
        "A ** 10 ** 10",
        "f'{A}'",
        "A := 3",
        "open('x')",
        "A[0]",
        "",
        "A ==",
        "A in B",
        "A" + " + A" * 600,
        "(" * 300 + "A" + ")" * 300,
        "-" * 200 + "A",
    ],
)
def test_anything_outside_the_grammar_is_refused(text):
    """Text from a file is data: it is read, never run, and a limit refuses what is huge."""
    with pytest.raises(SpaceError):
        parse(text, KNOWN)


def test_an_unknown_parameter_is_named():
    """A typo says what there is."""
    with pytest.raises(UnknownName, match=r'"C" is not a parameter.*Known: A, B'):
        parse("C > 1", KNOWN)


def test_from_text_gives_the_feasible_configs():
    """The interface's own example."""
    space = Space.from_text("gemm", {"MWG": [16, 32, 64], "VWM": [1, 2, 3]}, ["MWG % VWM == 0"])
    assert len(space.on()) == 6
