"""Config: one point of a Space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from .canonical import canonical_json, digest
from .expressions import Value


class Config(Mapping[str, Value]):
    """Parameter names and values, frozen, in the Space's order; an inactive conditional parameter is absent.

    Identity is by names and values, not by order.
    """

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.canonical == other.canonical

    def __repr__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.items())

    @cached_property
    def canonical(self) -> str:
        return canonical_json(self._values)

    @cached_property
    def digest(self) -> str:
        return digest(self._values)
