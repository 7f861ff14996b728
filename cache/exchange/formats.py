"""Formats: which there are, and what each can do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import IO, Protocol, cast

from ...spaces.errors import UnknownName
from ..records import Record

MODULES = {"jsonl": "jsonl"}
"""Format -> its module in this folder, which holds a FORMAT."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """A line, or whatever a format is made of, that is no record."""

    line: int  # from 1
    reason: str


@dataclass(frozen=True, slots=True)
class Read:
    """A record, and where it stands."""

    line: int
    record: Record


class Format(Protocol):
    """Records as one file."""

    summary: str

    def write(self, records: Iterable[Record], out: IO[bytes]) -> int:
        """Write them as they come; how many. Raises: OSError, and what the records raise."""

    def read(self, file: IO[bytes]) -> Iterator[Read | Damaged]:
        """Everything in the file, in order. Raises: UsageError where it is no such file, OSError."""


def format_named(name: str) -> Format:
    """A format by name. Raises: UnknownName."""
    if name not in MODULES:
        raise UnknownName(name, "a format", MODULES, "--format")
    return cast("Format", import_module(f"{__package__}.{MODULES[name]}").FORMAT)
