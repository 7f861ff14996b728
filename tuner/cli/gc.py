"""`tune gc`: what is old and of no use any more goes; no winner does."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..forgetting import Forgotten

_DB = "SQLAlchemy URL of the database [env KERNTUNE_DB]"


def gc(
    older_than: Annotated[str, typer.Option(help="only what is older: 12h, 90d, 8w", metavar="TIME")] = "90d",
    keep_best: Annotated[
        int, typer.Option(help="configs that stay of each problem, device and template", metavar="N")
    ] = 10,
    failures: Annotated[bool, typer.Option("--failures", help="also why configs failed")] = False,
    binaries: Annotated[bool, typer.Option("--binaries", help="also compiled kernels not used since")] = False,
    vacuum: Annotated[
        bool, typer.Option("--vacuum", help="give the room back to the disk (SQLite: writes the file anew)")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would go, and remove nothing")] = False,
    db: Annotated[str | None, typer.Option(metavar="URL", help=_DB)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> int:
    """Remove old measurements beyond the best few, and events of ended jobs: no winner, and nothing that was frozen."""
    from ..forgetting import ForgetRequest, run, seconds_of
    from .exits import INTERRUPTED

    request = ForgetRequest(seconds_of(older_than), keep_best, failures, binaries, vacuum, dry_run, db)
    done = run(request)
    if as_json:
        told = asdict(done) | {"before": done.before.isoformat(), "dry_run": dry_run}
        print(json.dumps(told, allow_nan=False))  # noqa: T201 -- the command's own answer
    else:
        _print(done, dry_run)
    return INTERRUPTED if done.interrupted else 0


def _print(done: Forgotten, dry_run: bool) -> None:
    from rich.console import Console

    from .words import size_of

    console = Console(highlight=False, soft_wrap=True)
    verb = "would go" if dry_run else "removed"
    for name in ("records", "events", "binaries"):
        removed = getattr(done, name)
        console.print(f"{name:<9} {removed.rows:,} {verb}, {size_of(removed.size_bytes)}")
    if done.freed_bytes is not None:
        console.print(f"vacuum    {size_of(done.freed_bytes)} freed")
    console.print(f"older     than {done.before.isoformat(timespec='seconds')}")
    if done.interrupted:
        console.print("interrupted: what was removed is gone; the same command goes on with the rest")
