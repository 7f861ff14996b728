"""Kinds of parameter: each owns its values and its default."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import SpaceError
from .expressions import Value

Values = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A name and the values it may take, in order; `default` is one of them."""

    name: str
    values: Values
    default: Value
    ordered: bool  # neighbours in `values` are neighbours in meaning

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise SpaceError(f'"{self.name}" cannot name a parameter: use letters, digits and _ as in BLOCK_M.')
        if not self.values:
            raise SpaceError(f"parameter {self.name} has no values.")
        if len({(type(value), value) for value in self.values}) != len(self.values):
            raise SpaceError(f"parameter {self.name} lists a value twice: {self.values}.")


def choice(name: str, *values: Value, default: Value | None = None) -> Parameter:
    """One of the listed values; the first is the default unless another is named."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return _parameter(name, values, default, ordered=numeric)


def pow2(name: str, low: int, high: int, default: int | None = None) -> Parameter:
    """Powers of two from `low` to `high`, both included and both powers of two."""
    for bound in (low, high):
        if bound < 1 or bound & (bound - 1):
            raise SpaceError(f"pow2({name!r}, {low}, {high}): {bound} is not a power of two.")
    exponents = range(low.bit_length() - 1, high.bit_length())
    return _parameter(name, tuple(1 << exponent for exponent in exponents), default, ordered=True)


def int_range(name: str, low: int, high: int, step: int = 1, default: int | None = None) -> Parameter:
    """Integers from `low` to `high`, both included, every `step`."""
    if step < 1:
        raise SpaceError(f"int_range({name!r}, …, step={step}): a step is at least 1.")
    return _parameter(name, tuple(range(low, high + 1, step)), default, ordered=True)


def flag(name: str, default: bool = False) -> Parameter:
    """Off or on."""
    return _parameter(name, (False, True), default, ordered=False)


def _parameter(name: str, values: Values, default: Value | None, *, ordered: bool) -> Parameter:
    if default is not None and default not in values:
        raise SpaceError(f"parameter {name}: default {default!r} is not among its values {values}.")
    if not values:
        raise SpaceError(f"parameter {name} has no values.")
    return Parameter(name, values, values[0] if default is None else default, ordered)
