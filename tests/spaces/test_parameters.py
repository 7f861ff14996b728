"""Kinds of parameter."""

import pytest
from kerntune.spaces import choice, flag, int_range, pow2
from kerntune.spaces.errors import SpaceError


def test_each_kind_owns_its_values():
    """Bounds are included; flags are off first."""
    assert pow2("P", 16, 128).values == (16, 32, 64, 128)
    assert int_range("I", 2, 8, step=3).values == (2, 5, 8)
    assert flag("F").values == (False, True)
    assert choice("C", "a", "b", default="b").default == "b"


@pytest.mark.parametrize(
    "make",
    [
        lambda: pow2("P", 12, 64),
        lambda: int_range("I", 5, 2),
        lambda: int_range("I", 1, 4, step=0),
        lambda: choice("C"),
        lambda: choice("C", 1, 1),
        lambda: choice("C", 1, 2, default=3),
        lambda: choice("two words", 1),
    ],
)
def test_a_kind_that_cannot_mean_what_it_says_is_refused(make):
    """At the definition, not at the first use."""
    with pytest.raises(SpaceError):
        make()
