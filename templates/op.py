"""Op: the one description of an op from which CLI flags, Python keywords, HTTP parameters and the docs are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..spaces.errors import ProblemError, ShapeError, UnknownName
from ..spaces.problems import DTYPE_BYTES, FieldValue, Problem
from ..spaces.targets import DeviceKind

DTYPES = tuple(DTYPE_BYTES)
DTYPE_ALIASES = {"fp8": "fp8e4m3"}
SWITCH_WORDS = {"true": "yes", "false": "no"}
"""How Python and JSON say a switch."""

MAX_DIM = 2**31 - 1
"""Largest size of one dimension: kernels index it with 32 bits."""

Array = Any  # a numpy array in a CPU child, a CuPy array in a GPU child


@dataclass(frozen=True, slots=True)
class Field:
    """One named part of a problem beside its shape.

    `default` None means that it follows from the device or from other fields (`Op.complete`).
    """

    name: str
    default: FieldValue | None
    help: str
    choices: tuple[str, ...] = ()  # empty for a count
    absent: str = ""  # of a count: the word that stands for none at all, such as "none"

    @property
    def type(self) -> type:
        """As faces read it: a count that has a word beside it comes as text."""
        return str if self.choices or self.absent else int

    @property
    def words(self) -> tuple[str, ...]:
        """Everything that a choice is called, aliases too."""
        aliases = DTYPE_ALIASES if self.choices == DTYPES else SWITCH_WORDS if self.is_switch else ()
        return (*self.choices, *aliases)

    @property
    def is_switch(self) -> bool:
        """Whether it can be said by its name alone, or by true and false."""
        return {"no", "yes"} <= set(self.choices)

    def check(self, value: object, op: str) -> FieldValue:
        """The value, with aliases resolved. Raises: UnknownName, ProblemError."""
        if self.choices:
            value = DTYPE_ALIASES.get(str(value), value) if self.choices == DTYPES else value
            value = SWITCH_WORDS.get(str(value).lower(), value) if self.is_switch else value
            if value not in self.choices:
                raise UnknownName(value, f"a {self.name} of {op}", self.choices)
            return str(value)
        if self.absent and value == self.absent:
            return self.absent
        if self.absent and isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value[:20])
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            word = f', or "{self.absent}"' if self.absent else ""
            raise ProblemError(f"{op}.{self.name} is {value!r}: it takes an integer of at least 1{word}.")
        return value


@dataclass(frozen=True, slots=True)
class Buffer:
    """An array a kernel is handed: C-contiguous, `shape` as it lies in memory."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: Literal["input", "output"]
    values: tuple[float, ...] = ()  # what an input holds that is no random data, in order: indices, slopes

    @property
    def bytes(self) -> int:
        count = 1
        for size in self.shape:
            count *= size
        return count * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What rounding alone may do: ‖C-R‖ <= frobenius · ‖R‖, and |C-R| <= rtol · |R| + atol everywhere."""

    frobenius: float
    rtol: float
    atol: float


@dataclass(frozen=True)
class Op:
    """What an op is: its words, and the pure functions that give them meaning."""

    name: str
    summary: str
    letters: tuple[str, ...]  # dims of --shape, in order: ("m", "n", "k")
    fields: tuple[Field, ...]
    example: str  # a shape
    complete: Callable[[dict[str, FieldValue], DeviceKind], None]  # fills fields that follow from others, in place
    facts: Callable[[Mapping[str, FieldValue]], dict[str, FieldValue]]
    buffers: Callable[[Problem], tuple[Buffer, ...]]
    evidence: Callable[[Problem, Mapping[str, Array], Any, Any], tuple[Array, Array]]
    """(problem, arrays by buffer name, array module, numpy Generator) -> (computed, expected), both float64."""
    tolerance: Callable[[Problem], Tolerance]

    @property
    def shape_format(self) -> str:
        return "x".join(letter.upper() for letter in self.letters)

    def parse_shape(self, text: str, where: str = "--shape") -> dict[str, int]:
        """`4096x4096x4096` as dims by letter. Raises: ShapeError."""
        example = f"Example: {where} {self.example}"
        parts = text.lower().replace("×", "x").split("x")
        if len(parts) != len(self.letters):
            raise ShapeError(
                f"{self.name} needs {len(self.letters)} dims ({self.shape_format}), "
                f'got {len(parts)} in "{text}" ({where}). {example}'
            )
        for part, letter in zip(parts, self.letters, strict=True):
            if not (part.isascii() and part.isdigit()) or not 1 <= int(part[:20]) <= MAX_DIM:
                raise ShapeError(
                    f'{letter} is "{part}" in "{text}" ({where}): a dim is an integer from 1 to {MAX_DIM:,}. {example}'
                )
        return {letter: int(part) for letter, part in zip(self.letters, parts, strict=True)}

    def shape_of(self, problem: Problem) -> str:
        return "x".join(str(problem[letter]) for letter in self.letters)

    def problem(self, device_kind: DeviceKind, **values: object) -> Problem:
        """The problem with these dims and fields; what is left out takes its default for that kind of device.

        Raises: UnknownName for a field or value the op does not have, ProblemError for a dim that is missing or off.
        """
        known = {field.name: field for field in self.fields}
        for name in values:
            if name not in known and name not in self.letters:
                raise UnknownName(name, f"a field of {self.name}", [*self.letters, *known])
        chosen: dict[str, FieldValue] = {}
        for letter in self.letters:
            value = values.get(letter)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_DIM:
                raise ProblemError(
                    f"{self.name}.{letter} is {value!r}: each of {', '.join(self.letters)} is an integer "
                    f"from 1 to {MAX_DIM:,}."
                )
            chosen[letter] = value
        for field in self.fields:
            value = values.get(field.name)
            if value is None:
                value = field.default
            if value is not None:
                chosen[field.name] = field.check(value, self.name)
        self.complete(chosen, device_kind)
        ordered = tuple((name, chosen[name]) for name in (*self.letters, *known))
        return Problem(self.name, ordered, tuple(self.facts(chosen).items()))

    def with_facts(self, problem: Problem, device_kind: DeviceKind) -> Problem:
        """A problem that was read back, with the facts that no store keeps: those of its fields, and of the defaults
        for a field it does not have. Raises: UnknownName for one that this op does not have.
        """
        return replace(problem, facts=self.problem(device_kind, **dict(problem.fields)).facts)
