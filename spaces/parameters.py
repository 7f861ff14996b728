"""Kinds of parameter: each owns its values, its default, its neighbours and its encoding for models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from .columns import SEPARATOR
from .errors import SpaceError
from .expressions import Value

Values = tuple[Value, ...]
Numbers = NDArray[np.float64]

MAX_VALUES = 1_000_000


@dataclass(frozen=True)
class Parameter:
    """A name and the values it may take, in order; `default` is one of them. This kind has values without an order."""

    name: str
    values: Values
    default: Value
    ordered = False
    """Whether values that are near each other mean similar things."""

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise SpaceError(f'"{self.name}" cannot name a parameter: use letters, digits and _ as in BLOCK_M.')
        if not 0 < len(self.values) <= MAX_VALUES:
            raise SpaceError(f"parameter {self.name} has {len(self.values) or 'no'} values: 1 to {MAX_VALUES:,} are.")
        if any(isinstance(value, float) and not math.isfinite(value) for value in self.values):
            raise SpaceError(f"parameter {self.name} lists a number that is not finite.")
        if len(self.places) != len(self.values):
            raise SpaceError(f"parameter {self.name} lists a value twice (True and 1 are one).")

    @cached_property
    def places(self) -> dict[Value, int]:
        """Index of each value."""
        return {value: place for place, value in enumerate(self.values)}

    def steps_from(self, place: int) -> Numbers:
        """How far each value is from the value at `place`, from 0 to 1: [values]."""
        steps: Numbers = (np.arange(len(self.values)) != place).astype(np.float64)
        return steps

    def neighbours_of(self, place: int) -> list[int]:
        """Indices of the values one step away from the value at `place`; being neighbours holds both ways."""
        return [other for other in range(len(self.values)) if other != place]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns of `encoding`."""
        return tuple(f"{self.name}={value}" for value in self.values)

    @cached_property
    def encoding(self) -> Numbers:
        """Numbers a model reads for each value [values, features]: here, one column a value."""
        return np.eye(len(self.values))


class Ordered(Parameter):
    """Numbers: neighbours are the next smaller and the next larger one."""

    ordered = True

    @cached_property
    def _ranks(self) -> NDArray[np.int64]:
        by_size = sorted(range(len(self.values)), key=lambda place: float(self.values[place]))
        ranks = np.empty(len(self.values), dtype=np.int64)
        ranks[by_size] = np.arange(len(self.values))
        return ranks

    def steps_from(self, place: int) -> Numbers:
        steps: Numbers = np.abs(self._ranks - self._ranks[place]) / max(1, len(self.values) - 1)
        return steps

    def neighbours_of(self, place: int) -> list[int]:
        near: list[int] = np.flatnonzero(np.abs(self._ranks - self._ranks[place]) == 1).tolist()
        return near

    @property
    def features(self) -> tuple[str, ...]:
        return (self.name,)

    @cached_property
    def encoding(self) -> Numbers:
        return np.array(self.values, dtype=np.float64)[:, None]


class Pow2(Ordered):
    """Powers of two, which models read as exponents."""

    @cached_property
    def encoding(self) -> Numbers:
        return np.log2(np.array(self.values, dtype=np.float64))[:, None]


class Permutation(Parameter):
    """Orders of some items, as text such as "m,n,k": neighbours differ by two adjacent items changing places."""

    @cached_property
    def _orders(self) -> NDArray[np.int64]:
        """Place of each item in each order [values, items]."""
        items = sorted(str(self.values[0]).split(SEPARATOR))
        return np.array([[str(order).split(SEPARATOR).index(item) for item in items] for order in self.values])

    def steps_from(self, place: int) -> Numbers:
        """Pairs of items that stand the other way round, of all pairs (Kendall's tau distance)."""
        before = self._orders[:, :, None] < self._orders[:, None, :]
        pairs = self._orders.shape[1] * (self._orders.shape[1] - 1)
        steps: Numbers = (before != before[place]).sum(axis=(1, 2)) / max(1, pairs)
        return steps

    def neighbours_of(self, place: int) -> list[int]:
        pairs = self._orders.shape[1] * (self._orders.shape[1] - 1) / 2
        near: list[int] = np.flatnonzero(np.isclose(self.steps_from(place) * pairs, 1)).tolist()
        return near

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(f"{self.name}@{item}" for item in sorted(str(self.values[0]).split(SEPARATOR)))

    @cached_property
    def encoding(self) -> Numbers:
        return self._orders.astype(np.float64)


def choice(name: str, *values: Value, default: Value | None = None) -> Parameter:
    """One of the listed values; the first is the default unless another is named. Numbers are ordered by size."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return _parameter(Ordered if numeric else Parameter, name, values, default)


def constant(name: str, value: Value) -> Parameter:
    """A parameter with one value: named for templates and constraints, not searched."""
    return choice(name, value)


def pow2(name: str, low: int, high: int, default: int | None = None) -> Parameter:
    """Powers of two from `low` to `high`, both included and both powers of two."""
    for bound in (low, high):
        if bound < 1 or bound & (bound - 1):
            raise SpaceError(f"pow2({name!r}, {low}, {high}): {bound} is not a power of two.")
    exponents = range(low.bit_length() - 1, high.bit_length())
    return _parameter(Pow2, name, tuple(1 << exponent for exponent in exponents), default)


def int_range(name: str, low: int, high: int, step: int = 1, default: int | None = None) -> Parameter:
    """Integers from `low` to `high`, both included, every `step`."""
    if step < 1:
        raise SpaceError(f"int_range({name!r}, …, step={step}): a step is at least 1.")
    listed = range(low, high + 1, step)
    if len(listed) > MAX_VALUES:
        raise SpaceError(f"int_range({name!r}, {low}, {high}) has {len(listed):,} values: at most {MAX_VALUES:,} are.")
    return _parameter(Ordered, name, tuple(listed), default)


def flag(name: str, default: bool = False) -> Parameter:
    """Off or on."""
    return _parameter(Parameter, name, (False, True), default)


def permutation(name: str, *items: str, default: str | None = None) -> Parameter:
    """Every order of the items, as text with commas: `permutation("LOOPS", "m", "n", "k")` has "m,n,k" first.

    Constraints read it with `position(LOOPS, "k")`, templates with `LOOPS.split(",")`. At most 8 items.
    """
    if not 1 <= len(items) <= 8 or len(set(items)) != len(items):
        raise SpaceError(f"permutation({name!r}, …) takes 1 to 8 different items, not {items}.")
    if any(SEPARATOR in item or not item for item in items):
        raise SpaceError(f'permutation({name!r}, …): an item is some text without "{SEPARATOR}", not {items}.')
    return _parameter(Permutation, name, tuple(SEPARATOR.join(order) for order in permutations(items)), default)


def _parameter(kind: type[Parameter], name: str, values: Values, default: Value | None) -> Parameter:
    if values and default is not None and default not in values:
        raise SpaceError(f"parameter {name}: default {default!r} is not among its values {values}.")
    return kind(name, values, values[0] if values and default is None else default or 0)
