"""Problem: what is to be computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from .canonical import canonical_json, digest
from .errors import ProblemError

DTYPE_BYTES: Mapping[str, int] = {
    "fp32": 4,
    "tf32": 4,
    "tf32x3": 4,
    "bf16": 2,
    "fp16": 2,
    "int8": 1,
    "int32": 4,
    "fp8e4m3": 1,
    "fp8e5m2": 1,
}
"""Bytes of one element in memory; tf32 and tf32x3 are ways to multiply fp32 data."""

FieldValue = int | str | bool


@dataclass(frozen=True, eq=False)
class Problem:
    """An op with every field named. Two problems are the same when op and fields are.

    `facts` are numbers that follow from the fields (`a_bytes`, `flops` …), for constraints and models: no identity.
    """

    op: str
    fields: tuple[tuple[str, FieldValue], ...]
    facts: tuple[tuple[str, FieldValue], ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __getitem__(self, name: str) -> FieldValue:
        for pairs in (self.fields, self.facts):
            for key, value in pairs:
                if key == name:
                    return value
        raise ProblemError(f"{self.op} has no field {name!r}. Known: {', '.join(self.symbols())}.")

    def dim(self, name: str) -> int:
        """A field that counts something. Raises: ProblemError if it is not an integer."""
        value = self[name]
        if isinstance(value, bool) or not isinstance(value, int):
            raise ProblemError(f"{self.op}.{name} is {value!r}, not a number.")
        return value

    def symbols(self) -> dict[str, FieldValue]:
        """What `problem.*` binds to."""
        return dict(self.fields) | dict(self.facts)

    def as_dict(self) -> dict[str, FieldValue]:
        return {"op": self.op, **dict(self.fields)}

    def canonical(self) -> str:
        return canonical_json(self.as_dict())

    @cached_property
    def digest(self) -> str:
        return digest(self.as_dict())
