"""`tune export` and `tune import`: what is remembered, as a file."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ...cache.exchange.importing import Imported

DAMAGED = 2
"""Exit code where some lines were no records; the others were imported."""

MOST_SHOWN = 20

FormatOption = Annotated[str, typer.Option(help="of the file: jsonl", metavar="NAME")]
DbOption = Annotated[str | None, typer.Option(help="SQLAlchemy URL of the database [env KERNTUNE_DB]", metavar="URL")]


def export_records(
    file: Annotated[str, typer.Argument(help="where to; - is standard output, .gz is compressed")] = "-",
    format: FormatOption = "jsonl",
    op: Annotated[str | None, typer.Option(help="only records of this op", metavar="OP")] = None,
    problem: Annotated[str | None, typer.Option(help="only records of this problem", metavar="DIGEST")] = None,
    target: Annotated[str | None, typer.Option(help="only records of this target", metavar="DIGEST")] = None,
    device: Annotated[str, typer.Option(help="only devices with this in their name", metavar="TEXT")] = "",
    db: DbOption = None,
) -> None:
    """Write records, with every sample and failure, to a file that `tune import` reads anywhere."""
    from ...cache.exchange.formats import format_named
    from .. import settings, wiring
    from ..exchanging import STREAM, Wanted, export_file
    from .exits import complain

    written = format_named(format)
    wanted = Wanted(op, problem, target, device).checked()
    store = wiring.open_store(settings.read(), db)
    try:
        count = export_file(store, wanted, written, file)
    finally:
        store.close()
    complain(f"{count:,} records written to {'standard output' if file == STREAM else file}")


def import_records(
    file: Annotated[str, typer.Argument(help="what `tune export` wrote; - is standard input")],
    format: FormatOption = "jsonl",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be added, and add nothing")] = False,
    db: DbOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """Add the records of a file; what is kept already stays, and is not kept twice."""
    from ...cache.exchange.formats import format_named
    from .. import settings, wiring
    from ..exchanging import import_file
    from ..record_checks import RecordChecks

    read = format_named(format)
    store = wiring.open_store(settings.read(), db)
    try:
        done = import_file(store, RecordChecks(), read, file, keep=not dry_run)
    finally:
        store.close()
    if as_json:
        print(json.dumps({"dry_run": dry_run, **asdict(done)}))  # noqa: T201
    else:
        _print(done, "would be added" if dry_run else "added")
    if done.damaged:
        raise typer.Exit(DAMAGED)


def _print(done: Imported, added: str) -> None:
    from .exits import complain

    for conflict in done.first_conflicts[:MOST_SHOWN]:
        complain(f"line {conflict.line}: another result of {conflict.what} is kept; both are")
    _count_rest(done.conflicts, "conflicts")
    for damaged in done.first_damaged[:MOST_SHOWN]:
        complain(f"line {damaged.line} is left out: {damaged.reason}")
    _count_rest(done.damaged, "lines that are left out")
    counts = [f"{done.added:,} {added}", f"{done.known:,} known before", f"{done.conflicts:,} in conflict"]
    typer.echo(f"records: {', '.join(counts)}; {done.damaged:,} lines left out")


def _count_rest(count: int, what: str) -> None:
    from .exits import complain

    if count > MOST_SHOWN:
        complain(f"... and {count - MOST_SHOWN:,} more {what}")
