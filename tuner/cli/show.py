"""`tune show DIGEST`: all the evidence of what a digest names; its source, its PTX, its instructions."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ...cache.records import Record

_DB = "SQLAlchemy URL of the database [env KERNTUNE_DB]"
_DIGEST = "of a config, a problem, a key, a target or a record, as tune list and --json print it; 4 signs or more"


def show(
    digest: Annotated[str, typer.Argument(metavar="DIGEST", help=_DIGEST)],
    source: Annotated[
        bool, typer.Option("--source", help="the kernel, rendered from its template as it is now")
    ] = False,
    ptx: Annotated[bool, typer.Option("--ptx", help="what the compiler makes of it, as PTX")] = False,
    sass: Annotated[bool, typer.Option("--sass", help="its machine code, disassembled")] = False,
    limit: Annotated[int, typer.Option(help="records shown of each key; --json has all", min=1)] = 10,
    db: Annotated[str | None, typer.Option(metavar="URL", help=_DB)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """All that is known of what a digest names: every sample, where, with which tools, when, by whom."""
    from ...spaces.errors import UsageError
    from .. import settings, showing, wiring

    if source + ptx + sass > 1:
        raise UsageError("--source, --ptx and --sass: one at a time.")
    config = settings.read()
    evidence, store, studies = wiring.open_evidence(config, db)
    with closing(store):
        shown = showing.shown(digest, evidence, store, studies)
    if source or ptx or sass:
        form = "source" if source else "ptx" if ptx else "sass"
        text = _text(shown.record, form, len(shown.keys))
        print(json.dumps({"digest": shown.digest, form: text}) if as_json else text)  # noqa: T201 -- the answer
    elif as_json:
        print(json.dumps(showing.as_json(shown), allow_nan=False))  # noqa: T201 -- the command's own answer
    else:
        from .show_tables import print_shown

        print_shown(shown, limit)


def _text(record: Record, form: str, keys: int) -> str:
    """The kernel of a record in this form; what is not as it was measured is said on standard error."""
    from .. import settings, showing, wiring
    from ..backends.assembly import assembly
    from .exits import complain
    from .words import name_of

    candidate = showing.candidate_of(record)
    if keys > 1:
        complain(f"note: it ran in {keys} places; this is {name_of(record.key.problem)} on {record.key.target.name}")
    if showing.is_edited(record):
        complain(f"note: template {record.template} was edited since it was measured: this is how it reads now")
    if form == "source":
        return candidate.source
    backend = wiring.open_backend(candidate.backend, record.key.target, settings.read())
    recorded = {name: said for name, said in record.key.target.as_dict()["toolchain"].items() if said is not None}
    complain("note: measured with " + ", ".join(f"{name} {said}" for name, said in recorded.items()))
    return assembly(backend, candidate, "ptx" if form == "ptx" else "sass")
