"""Digests: what a space means, not how it is written."""

from contextlib import suppress

import oracle
import pytest
from builders import a_problem
from hypothesis import given, settings
from kerntune.spaces import Space, choice, in_, int_range, min_, pow2
from kerntune.spaces.expressions import Expr, Symbol
from kerntune.spaces.meaning import normal
from kerntune.spaces.symbols import problem


def a_space(*constraints: Expr, reason: str = "fits", name: str = "s") -> Space:
    """Two tile sizes and a number of stages under the given constraints."""
    space = Space(name)
    space.add(pow2("M", 1, 64), pow2("N", 1, 64), int_range("STAGES", 1, 4))
    for constraint in constraints:
        space.require(constraint, reason)
    return space


def parse(text: str) -> Expr:
    """The constraint a text says."""
    space = Space.from_text("s", {"M": [1, 2], "N": [1, 2], "STAGES": [1, 2]}, [text])
    return space.declaration.constraints[0].expression


SAME = [
    ("M * N <= 64", "N * M <= 64"),
    ("M * N <= 64", "64 >= M * N"),
    ("M <= 8 and N <= 8", "N <= 8 and M <= 8 and N <= 8"),
    ("M <= 8 or N <= 8", "not (M > 8 and N > 8)"),
    ("not (M == 8 and N == 8)", "M != 8 or N != 8"),
    ("M * N < 12 * 1024", "M * N < 12288"),
    ("M in (1, 2, 4)", "M in [4, 2, 1, 2]"),
    ("min(M, N, 4) > 1", "1 < min(min(4, N), M)"),
    ("not not M < N", "N > M"),
]
DIFFERENT = [
    ("M * N <= 64", "M * N < 64"),
    ("M - N <= 2", "N - M <= 2"),
    ("M % N == 0", "N % M == 0"),
    ("M <= 8 and N <= 8", "M <= 8 or N <= 8"),
    ("M in (1, 2)", "M in (1, 4)"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_wording_is_not_meaning(one, other):
    """Order of operands, swapped comparisons, De Morgan, computed constants."""
    assert a_space(parse(one)).digest == a_space(parse(other)).digest


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_another_meaning_has_another_digest(one, other):
    """A stored time is not taken for that of another space."""
    assert a_space(parse(one)).digest != a_space(parse(other)).digest


def test_declaration_noise_is_not_meaning():
    """Order of parameters, of their values and of constraints, repetition, reasons, defaults, one `&` or two rules."""
    m, n, stages = map(Symbol, ("M", "N", "STAGES"))
    one = a_space((m * n <= 64) & (stages < 3), reason="fits")
    other = Space("s")
    other.add(choice("STAGES", 4, 3, 2, 1, default=2), choice("N", 64, 32, 16, 8, 4, 2, 1), pow2("M", 1, 64))
    other.require(stages < 3, "few stages")
    other.require(n * m <= 64, "must fit")
    other.require(stages < 3, "again")
    assert one.digest == other.digest
    assert one.on().digest == other.on().digest


def test_what_changes_configs_or_what_they_derive_changes_the_digest():
    """A name, a value, a condition, a derived value."""
    plain = a_space()
    renamed, larger, derived, conditional = a_space(name="t"), a_space(), a_space(), a_space()
    larger.add(choice("X", 1))
    derived.derive("smem_bytes", 64)
    conditional.when(in_(Symbol("M"), 1, 2), conditional.add(choice("X", 1)))
    digests = {space.digest for space in (plain, renamed, larger, derived, conditional)}
    assert len(digests) == 5


def test_a_feasible_space_is_told_apart_by_what_it_was_bound_to():
    """Only what its expressions read counts."""
    space = a_space(parse("M <= 64"), min_(problem.m, 64) >= Symbol("M"))
    small, large, same = (space.on(a_problem(m=m, n=n, k=8)) for m, n in ((8, 8), (32, 8), (8, 16)))
    assert small.digest != large.digest
    assert small.digest == same.digest


def test_a_long_disjunction_has_a_digest():
    """Hundreds of alternatives are one flat list, not a tower."""
    chains = [" or ".join(f"M == {number}" for number in range(start, start + 140)) for start in (0, 140, 280)]
    text = " or ".join(f"N == 0 or ({chain})" for chain in chains)
    assert a_space(parse(text)).digest == a_space(parse(f"not not ({text})")).digest


@settings(max_examples=200, deadline=None)
@given(oracle.spaces())
def test_the_normal_form_has_the_same_value(space):
    """For every config of a random space; only a guard's place before what it guards is lost."""
    declaration = space.declaration
    for config in list(oracle.configs(declaration, without=frozenset(range(99))))[:20]:
        for constraint in declaration.constraints:
            if declaration.parameters_read(constraint.expression) - {"derived"} <= config.keys():
                env = space.on().bind(config)
                with suppress(ZeroDivisionError):
                    form = bool(oracle.value_of(normal(constraint.expression), env))
                    assert form == bool(oracle.value_of(constraint.expression, env))
