"""Recorded spaces on disk: a JSON header with rows in Parquet (format `tuning-space/1`), or T4 results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...cache.records import Failure
from ...spaces.errors import UsageError
from ...spaces.space import Space
from .listed import ListedSpace
from .recorded import Floats, Indices, Recorded, from_rows
from .t4 import from_t4

if TYPE_CHECKING:
    from pyarrow import Table

FORMAT = "tuning-space/1"
TIME, COST, STATUS = "__time_ms", "__cost_ms", "__status"
OK = 0
FAILURES = {
    1: Failure("compile", "recorded as a compile error"),
    2: Failure("runtime", "recorded as a runtime or launch error"),
}
OTHER = Failure("runtime", "recorded as otherwise invalid")
SAMPLED = ("sample", "not exhaustive", "partial")
"""Words of a note that say rows are missing because nobody tried them, not because they failed."""


def read(path: Path) -> Recorded:
    """The recorded space of a file. Raises: UsageError, NoFeasibleConfig if nothing in it ran."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}. Name the JSON header of a recorded space.") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON document ({error}). {_expected()}") from None
    if isinstance(document, dict) and document.get("format") == FORMAT:
        return _from_header(path, document)
    if isinstance(document, dict) and isinstance(document.get("results"), list):
        return from_t4(path.stem, document)
    raise UsageError(f"{path} is no recorded space. {_expected()}")


def _expected() -> str:
    return f'Expected: a header with "format": "{FORMAT}" beside its .parquet, or T4 results.'


def _from_header(path: Path, header: Mapping[str, Any]) -> Recorded:
    try:
        name, note = str(header["name"]), str(header.get("note", ""))
        values = {str(parameter["name"]): list(parameter["values"]) for parameter in header["parameters"]}
        constraints = [str(text) for text in header["constraints"]]
        missing = int(header.get("configs_in_space_but_not_recorded", 0))
        if not values:
            raise ValueError("no parameters")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{path} is damaged: {type(error).__name__} {error}. A {FORMAT} header has name, parameters with values, "
            "and constraints."
        ) from None
    sampled = missing > 0 and any(word in note.lower() for word in SAMPLED)
    space = Space.from_text(name, values, [] if sampled else constraints)
    table = _table(path, name, [*values, TIME, STATUS])
    indices = np.stack([_places(path, table, parameter, listed) for parameter, listed in values.items()], axis=1)
    feasible = ListedSpace(space, indices) if sampled else space.on()
    notes = [f"{missing:,} configs were never tried: the space is the rows ({note})"] if sampled else []
    status = _numbers(path, table, STATUS)
    times_ms = _numbers(path, table, TIME)
    ran = (status == OK) & np.isfinite(times_ms) & (times_ms > 0)
    failures = {int(row): FAILURES.get(int(np.nan_to_num(status[row])), OTHER) for row in np.flatnonzero(~ran)}
    costs_ms = _numbers(path, table, COST) if COST in table.column_names else np.full(len(times_ms), np.nan)
    times_us = np.where(ran, times_ms * 1e3, np.nan)
    return from_rows(name, feasible, indices, times_us, failures, costs_ms / 1e3, notes)


def _table(path: Path, name: str, needed: list[str]) -> Table:
    """The rows of a header, from the Parquet file beside it."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import read_table
    except ImportError:
        raise UsageError(
            f"the rows of {path} are in Parquet, which needs pyarrow: pip install 'kerntune[replay]'"
        ) from None
    beside = [path.with_suffix(".parquet"), path.with_name(f"{Path(name).name}.parquet")]
    rows = next((candidate for candidate in beside if candidate.exists()), None)
    if rows is None:
        raise UsageError(f"no {beside[0].name} beside {path}: a header's rows lie in the Parquet file of its name.")
    try:
        table = read_table(rows)
    except (OSError, ArrowException) as error:
        raise UsageError(f"{rows} is no Parquet file, or damaged: {str(error).splitlines()[0]}") from None
    if not table.num_rows:
        raise UsageError(f"{rows} has no rows.")
    if absent := [column for column in needed if column not in table.column_names]:
        raise UsageError(f"{rows} has no column {', '.join(absent)}, which its header {path} needs.")
    return table


def _places(path: Path, table: Table, parameter: str, listed: list[Any]) -> Indices:
    """A column as indices of the values the header lists."""
    places = {value: place for place, value in enumerate(listed)}
    distinct = table[parameter].combine_chunks().dictionary_encode()
    known = [places.get(value) for value in distinct.dictionary.to_pylist()]
    if distinct.null_count or None in known:
        raise UsageError(f"{path}: column {parameter} of its rows holds values the header does not list.")
    indices: Indices = np.array(known, dtype=np.int32)[distinct.indices.to_numpy()]
    return indices


def _numbers(path: Path, table: Table, column: str) -> Floats:
    """A column of numbers; NaN for null."""
    from pyarrow import ArrowException, float64

    try:
        return np.asarray(table[column].cast(float64()).to_numpy(), dtype=np.float64)
    except ArrowException as error:
        raise UsageError(f"{path}: column {column} of its rows holds no numbers ({error}).") from None
