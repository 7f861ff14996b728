"""The JSON of problems, targets and policies that come from a stranger, checked field by field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, get_args

from ..spaces.errors import UsageError
from ..spaces.problems import FieldValue, Problem
from ..spaces.targets import Cpu, DeviceKind, Gpu, Target, Toolchain
from .checked import listed, mapping, member, name, one_of, plain, shown, truth, whole
from .records import CacheState, LaunchMode, Policy

MOST_PROBLEM_FIELDS = 64
MOST_FLAGS_CHARS = 2000
"""Of a toolchain's entries, two of which hold whole command lines."""
MOST_ISA = 200

IDENTIFIER = re.compile("[A-Za-z_][A-Za-z0-9_]{0,63}")


def problem_checked(data: object, where: str = "problem") -> Problem:
    """A problem of plain fields; whether its op has such fields is for the op's description to say.

    Raises: UsageError.
    """
    said = mapping(data, where, MOST_PROBLEM_FIELDS)
    op = name(member(said, "op", f"{where}."), f"{where}.op")
    return Problem(op, tuple((field, _field(field, value, where)) for field, value in said.items() if field != "op"))


def target_checked(data: object, where: str = "target") -> Target:
    """A target with every field of its kind, and no other: its digest is made of them. Raises: UsageError."""
    said = mapping(data, where)
    kind = one_of(member(said, "kind", f"{where}."), f"{where}.kind", get_args(DeviceKind))
    device = _filled(Cpu if kind == "cpu" else Gpu, member(said, "device", f"{where}."), f"{where}.device")
    return Target(device, _filled(Toolchain, member(said, "toolchain", f"{where}."), f"{where}.toolchain"))


def policy_checked(data: object, where: str = "policy") -> Policy:
    """How a time was taken. Raises: UsageError."""
    said = mapping(data, where)
    return Policy(
        one_of(member(said, "cache", f"{where}."), f"{where}.cache", get_args(CacheState)),
        one_of(member(said, "launch", f"{where}."), f"{where}.launch", get_args(LaunchMode)),
    )


def _field(field: str, value: object, where: str) -> FieldValue:
    if not IDENTIFIER.fullmatch(field):
        raise UsageError(f"{where} has a field {shown(field)}: a field's name is letters, digits and _.")
    checked = plain(value, f"{where}.{field}")
    if isinstance(checked, float):
        raise UsageError(f"{where}.{field} is {shown(value)}: it takes an integer, a word, true or false.")
    return checked


def _filled(made: Callable[..., Any], data: object, where: str) -> Any:
    """A flat dataclass of these values."""
    said, known = mapping(data, where), {field.name: field for field in fields(made)}  # type: ignore[arg-type]
    for entry in said:
        if entry not in known:
            raise UsageError(f"{where} has {shown(entry)}, which is not known here. Known: {', '.join(known)}.")
    checked = {
        entry: _CHECKS[str(field.type)](member(said, entry, f"{where}."), f"{where}.{entry}")
        for entry, field in known.items()
        if _is_needed(field) or entry in said
    }
    return made(**checked)


def _is_needed(field: Field[Any]) -> bool:
    return field.default is MISSING


def _maybe_name(value: object, where: str) -> str | None:
    return None if value is None else name(value, where, MOST_FLAGS_CHARS)


_CHECKS: Mapping[str, Callable[[Any, str], Any]] = {
    "str": name,
    "str | None": _maybe_name,
    "int": lambda value, where: whole(value, where, least=0),
    "bool": truth,
    "tuple[str, ...]": lambda value, where: listed(value, where, MOST_ISA, name),
}
"""By the type that a field of Cpu, Gpu or Toolchain is declared with."""
