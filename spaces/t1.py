"""T1, the JSON in which the auto-tuning community publishes search spaces, read as a Space.

Format: github.com/AutoTuningAssociation/benchmark_hub and the input schema of Kernel Tuner. Values and conditions are
Python expressions as text there; here they are read and never run. What T1 has no word for, spaces/t1_writing.py adds
as keys of its own: `When` of a condition, for parameters that are absent at times, and `Reason`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from .errors import SpaceError, UnknownName
from .expressions import Symbol, Value
from .grammar import parse
from .lists import Allowance, listed_values
from .parameters import Parameter, choice
from .space import Space
from .syntax import excerpt

MAX_CHARS = 1_000_000
MAX_ENTRIES = 10_000

TYPES: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "uint": (int,),
    "float": (int, float),
    "bool": (bool,),
    "string": (str,),
}
"""Type of a parameter -> the Python types its values have."""

_KINDS: Mapping[str, tuple[type, ...]] = {"text": (str,), "a list": (list, tuple), "an object": (Mapping,)}


def from_t1(document: str | Mapping[str, Any]) -> Space:
    """The space of a T1 document, as JSON text or what JSON text holds.

    A default that is not among the values is left out, as in documents that are published.
    Raises: SpaceError naming the entry that cannot be read.
    """
    read = _loaded(document) if isinstance(document, str) else document
    if not isinstance(read, Mapping):
        raise SpaceError('a T1 document is a JSON object with "ConfigurationSpace".')
    described = _entry(read, "ConfigurationSpace", "an object", "the document")
    space = Space(_name(read))
    allowance = Allowance()
    for place, entry in enumerate(_entries(described, "TuningParameters", required=True)):
        where = f"TuningParameters[{place}]"
        name = _entry(entry, "Name", "text", where)
        where = f"{where} {excerpt(name)}"
        try:
            space.add(_parameter(name, entry, allowance, where))
        except SpaceError as error:
            raise _told(where, error) from None
    known = {parameter.name: parameter for parameter in space.parameters}
    for place, entry in enumerate(_entries(described, "Conditions", required=False)):
        where = f"Conditions[{place}]"
        try:
            _add_condition(space, entry, known, where)
        except (SpaceError, UnknownName) as error:
            raise _told(where, error) from None
    return space


def _loaded(text: str) -> Any:
    if len(text) > MAX_CHARS:
        raise SpaceError(f"a T1 document of {len(text):,} characters: at most {MAX_CHARS:,} are read.")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        trouble = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SpaceError(f"{excerpt(text)} is not a JSON document: {trouble}.") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _told(where: str, error: Exception) -> SpaceError:
    return error if isinstance(error, SpaceError) and str(error).startswith(where) else SpaceError(f"{where}: {error}")


def _entry(entry: Any, key: str, kind: str, where: str) -> Any:
    """The value of a key, of this kind. Raises: SpaceError where the entry is no object, or lacks it."""
    if not isinstance(entry, Mapping):
        raise SpaceError(f"{where} is {excerpt(repr(entry))}, not an object.")
    if key not in entry:
        raise SpaceError(f'{where} has no "{key}".')
    value = entry[key]
    if not isinstance(value, _KINDS[kind]):
        raise SpaceError(f'{where}: "{key}" is {excerpt(repr(value))}, not {kind}.')
    return value


def _entries(described: Mapping[str, Any], key: str, *, required: bool) -> Sequence[Any]:
    if key not in described and not required:
        return ()
    entries: Sequence[Any] = _entry(described, key, "a list", "ConfigurationSpace")
    if len(entries) > MAX_ENTRIES:
        raise SpaceError(f"{key} has {len(entries):,} entries: at most {MAX_ENTRIES:,} are read.")
    return entries


def _name(document: Mapping[str, Any]) -> str:
    for section, key in (("General", "BenchmarkName"), ("KernelSpecification", "KernelName")):
        if section in document and key in _entry(document, section, "an object", "the document"):
            name: str = _entry(document[section], key, "text", section)
            if name:
                return name
    return "t1"


def _parameter(name: str, entry: Mapping[str, Any], allowance: Allowance, where: str) -> Parameter:
    if not name.isidentifier():
        raise SpaceError(f"{where} cannot name a parameter: use letters, digits and _ as in BLOCK_M.")
    kind = _entry(entry, "Type", "text", where)
    if kind not in TYPES:
        raise SpaceError(f'{where}: "Type" is {excerpt(kind)}. Known: {", ".join(TYPES)}.')
    if "Values" not in entry:
        raise SpaceError(f'{where} has no "Values".')
    values = listed_values(entry["Values"], allowance)
    if not isinstance(entry["Values"], str) and not allowance.take(len(values)):
        raise SpaceError(f"{where}: the document lists too many values.")
    for value in values:
        if not has_type(value, kind):
            raise SpaceError(f'{where}: {excerpt(repr(value))} is not of "Type" {kind}.')
    default = entry.get("Default")
    listed = isinstance(default, int | float | str) and default in values
    return choice(name, *values, default=values[values.index(default)] if listed else None)


def has_type(value: Value, kind: str) -> bool:
    """Whether a value is of a T1 type."""
    if isinstance(value, bool) != (kind == "bool") or not isinstance(value, TYPES[kind]):
        return False
    return kind != "uint" or (isinstance(value, int) and value >= 0)


def _add_condition(space: Space, entry: Any, known: Mapping[str, Parameter], where: str) -> None:
    text = _entry(entry, "Expression", "text", where)
    if "Parameters" in entry:
        _entry(entry, "Parameters", "a list", where)
    if "When" not in entry:
        reason = _entry(entry, "Reason", "text", where) if "Reason" in entry else ""
        space.require(parse(text, known), reason or text)
        return
    for name, condition in _entry(entry, "When", "an object", where).items():
        if name not in known:
            raise UnknownName(name, 'a parameter in "When"', known)
        if not isinstance(condition, str):
            raise SpaceError(f'{where}: "When" of {name} is {excerpt(repr(condition))}, not text.')
        space.when(parse(condition, known), Symbol(name))
