"""Workload files: problems and how often a model runs each, as a JSON list or as JSONL.

Foreign text: checked against the ops' own words, and bounded.
"""

from __future__ import annotations

import json
import math
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..spaces.errors import UsageError
from ..spaces.problems import Problem
from ..spaces.targets import DeviceKind
from ..templates.catalogue import op_named
from ..templates.op import Op

MOST_BYTES, MOST_ENTRIES, MOST_TOLD = 16 * 2**20, 10_000, 5
EXAMPLE = '{"op": "gemm", "shape": "4096x4096x4096", "dtype": "bf16", "weight": 32}'


@dataclass(frozen=True, slots=True)
class Weighted:
    """A problem, and how often it is run."""

    problem: Problem
    weight: float


def read(path: Path, kind: DeviceKind) -> list[Weighted]:
    """The problems of a file, as a device of this kind completes them. Raises: UsageError, with file and line."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}. Name a workload file (JSON or JSONL).") from None
    if len(text) > MOST_BYTES:
        raise UsageError(f"{path} is larger than {MOST_BYTES >> 20} MiB: that is no list of problems.")
    if text.startswith(BOM_UTF8):  # as some editors begin a file
        text = text[len(BOM_UTF8) :]
    if not text.strip():
        raise UsageError(f"{path} is empty. Write problems into it, one a line: {EXAMPLE}")
    return weighted(_entries(path, text), kind)


def of_values(values: Sequence[Mapping[str, Any]], kind: DeviceKind) -> list[Weighted]:
    """The problems of a list of entries as a file holds them. Raises: UsageError."""
    return weighted(((f"problem {place}", value) for place, value in enumerate(values, 1)), kind)


def weighted(entries: Iterable[tuple[str, Any]], kind: DeviceKind) -> list[Weighted]:
    """Problems in the order of the file, each once, weights of the same one added. Raises: UsageError."""
    weights: dict[Problem, float] = {}
    wrong = []
    for count, (where, entry) in enumerate(entries, 1):
        if count > MOST_ENTRIES:
            raise UsageError(f"{where}: a workload has at most {MOST_ENTRIES:,} problems. Merge those that are alike.")
        try:
            one = _checked(entry, kind)
        except UsageError as error:
            wrong.append(f"{where}: {error}")
            if len(wrong) == MOST_TOLD:
                break
            continue
        weights[one.problem] = weights.get(one.problem, 0.0) + one.weight
    if wrong:
        raise UsageError("\n  ".join([*wrong, f"An entry is such as {EXAMPLE}"]))
    if not weights:
        raise UsageError(f"the workload holds no problem. An entry is such as {EXAMPLE}")
    return [Weighted(problem, weight) for problem, weight in weights.items()]


def _entries(path: Path, text: bytes) -> Iterator[tuple[str, Any]]:
    """Where each entry stands, and the entry."""
    if text.lstrip()[:1] == b"[":
        for place, entry in enumerate(_parsed(text, str(path)), 1):
            yield f"{path}, entry {place}", entry
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            where = f"{path}, line {number}"
            yield where, _parsed(line, where)


def _parsed(text: bytes, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_named_once)
    except json.JSONDecodeError as error:  # its own line is one of the entry, where that is a line
        at = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}, column {error.colno}"
        said = f"{error.msg}, {at}"
    except RecursionError:
        said = "nested too deep"
    except UnicodeDecodeError:
        said = "not UTF-8 text"
    except ValueError as error:
        said = str(error)
    raise UsageError(
        f"{where}: no JSON ({said}). A workload is a JSON list of objects, or one object a line: {EXAMPLE}"
    )


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Raises: ValueError for a name that stands in it twice, of which one value would be lost."""
    names = Counter(name for name, _ in pairs)
    if double := [name for name, count in names.items() if count > 1]:
        raise ValueError(f"{_shown(double[0])} stands twice in one object: keep one")
    return dict(pairs)


def _checked(entry: Any, kind: DeviceKind) -> Weighted:
    if not isinstance(entry, dict):
        raise UsageError(f"a problem is an object, not {_shown(entry)}.")
    fields = dict(entry)
    name, shape, weight = fields.pop("op", None), fields.pop("shape", None), fields.pop("weight", 1)
    if name is None:
        raise UsageError(f'"op" is missing: it names an op, such as "gemm". {_has(entry)}')
    if not isinstance(name, str):
        raise UsageError(f'"op" is {_shown(name)}: it names an op, such as "gemm".')
    if bad := [text for text in (name, *_texts(fields), str(shape)) if not text.isprintable()]:
        raise UsageError(f"{_shown(bad[0])} holds control characters: write it without.")
    op = op_named(name[:100])
    if not _is_weight(weight):
        raise UsageError(f'"weight" is {_shown(weight)}: it says how often the problem is run, a number above 0.')
    if long := [name for name, value in fields.items() if isinstance(value, str | list | dict) and len(value) > 100]:
        raise UsageError(f"{_shown(long[0])} has a value that is too long for a field of {op.name}.")
    fields |= _dims(op, shape, fields)
    return Weighted(op.problem(kind, **fields), float(weight))


def _dims(op: Op, shape: object, fields: Mapping[str, Any]) -> dict[str, int]:
    """What "shape" says; nothing where the dims stand by name. Raises: UsageError."""
    if shape is None:
        if missing := [letter for letter in op.letters if letter not in fields]:
            words = f'a text of {op.shape_format}, such as "{op.example}"'
            raise UsageError(f'"shape" is missing (or "{missing[0]}"): {words}.')
        return {}
    if not isinstance(shape, str) or len(shape) > 200:
        raise UsageError(f'"shape" is {_shown(shape)}: it is a text of {op.shape_format}, such as "{op.example}".')
    if double := [letter for letter in op.letters if letter in fields]:
        raise UsageError(f'both "shape" and "{double[0]}" are given: keep one.')
    return op.parse_shape(shape, '"shape"')


def _has(entry: dict[str, Any]) -> str:
    return f"The object has {_shown(list(entry))}." if entry else "The object is empty."


def _texts(fields: dict[str, Any]) -> list[str]:
    """Names, and values that are texts."""
    return [*fields, *(value for value in fields.values() if isinstance(value, str))]


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1e15 and math.isfinite(value)


def _shown(value: object) -> str:
    """Foreign text, short."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"
