"""`tune diff A B`: two configs, keys, records or targets side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..differing import Difference, Side

_DB = "SQLAlchemy URL of the database [env KERNTUNE_DB]"
_DIGEST = "of a config, a problem, a key, a record, or of a target and then both; 4 signs or more"


def diff(
    one: Annotated[str, typer.Argument(metavar="A", help=_DIGEST)],
    other: Annotated[str, typer.Argument(metavar="B", help="the same of the other")],
    db: Annotated[str | None, typer.Option(metavar="URL", help=_DB)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """How two configs, keys, records or targets differ: parameters, times, device and tools, field by field."""
    from .. import settings, wiring
    from ..differing import difference

    evidence, store, _ = wiring.open_evidence(settings.read(), db)
    with closing(store):
        found = difference(one, other, evidence, store)
    if as_json:
        print(json.dumps(_as_json(found), allow_nan=False))  # noqa: T201 -- the command's own answer
    else:
        _print(found)


def _as_json(found: Difference) -> dict[str, Any]:
    """Each differing name with both values; `ratio` is the time of the second ÷ that of the first."""
    parts = {name: _pairs(getattr(found, name)) for name in ("problem", "target", "template", "config")}
    sides = [_side_json(side) for side in (found.one, found.other)]
    return {"sides": sides, **parts, "ratio": found.ratio, "same_playoff": found.met}


def _pairs(differing: Mapping[str, tuple[Any, Any]]) -> dict[str, list[Any]]:
    return {name: list(values) for name, values in differing.items()}


def _side_json(side: Side) -> dict[str, Any]:
    record = side.record
    return {
        "named": side.named,
        "digest": side.digest,
        "target": side.target.digest,
        "config": None if record is None else dict(record.config),
        "ranked_us": side.us,
        "phase": None if record is None else record.phase,
        "recorded_at": None if record is None else record.recorded_at.isoformat(),
    }


def _print(found: Difference) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from .words import time_of

    console = Console(highlight=False, soft_wrap=True, markup=False)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for title in ("", *(f"{side.named} {side.digest[:8]}" for side in (found.one, found.other))):
        table.add_column(title)
    for part in (found.problem, found.target, found.template, found.config):
        for name, values in part.items():
            table.add_row(*(Text(word) for word in (name, *map(_said, values))))
    if found.one.us is not None or found.other.us is not None:
        times = ("-" if side.us is None else time_of(side.us) for side in (found.one, found.other))
        table.add_row("time", *times)
    if table.row_count:
        console.print(table)
    if not any((found.problem, found.target, found.template, found.config)):
        console.print("the same in every field")
    if found.ratio is not None:
        how = "in one playoff" if found.met else "measured apart: a playoff would say more (tune bench)"
        console.print(f"{found.ratio:.3f} × the time of the first, {how}")


def _said(value: Any) -> str:
    if value is None:
        return "-"
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)
