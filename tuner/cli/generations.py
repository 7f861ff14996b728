"""`tune generations`: numbered, frozen sets of winners, listed, made, compared and exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..generation_services import GenerationServices

_Db = Annotated[str | None, typer.Option(help="SQLAlchemy URL of the database [env KERNTUNE_DB]", metavar="URL")]
_Json = Annotated[bool, typer.Option("--json", help="one JSON object on standard output")]
_Number = Annotated[int, typer.Argument(metavar="N", min=1, help="number of a generation")]


def generations_group() -> typer.Typer:
    """`tune generations` with its commands."""
    group = typer.Typer(
        help="Frozen sets of winners: pinned to one, a lookup answers the same for ever.",
        epilog="Example: tune generations freeze --note 'release 1.4'",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("list", epilog="Example: tune generations list")(_list)
    group.command("freeze", epilog="Example: tune generations freeze --note 'release 1.4'")(_freeze)
    group.command("diff", epilog="Example: tune generations diff 1 2")(_diff)
    group.command("export", epilog="Example: tune generations export 2 kernels.jsonl.gz")(_export)
    return group


def _list(
    limit: Annotated[int, typer.Option(help="at most so many, the newest", min=1, max=500)] = 50,
    db: _Db = None,
    as_json: _Json = False,
) -> None:
    """The generations there are, the newest first."""
    from ...cache.wire_generations import generation_to_json
    from ...spaces.errors import NoAnswer
    from .generation_tables import print_generations

    with _opened(db) as services:
        known = services.generations(limit=limit)
    if as_json:
        _say({"generations": [generation_to_json(one) for one in known]})
    elif known:
        print_generations(known)
    else:
        raise NoAnswer("no generation was frozen yet. Freeze one: tune generations freeze")


def _freeze(
    note: Annotated[str, typer.Option(help="what it is for", metavar="TEXT")] = "",
    db: _Db = None,
    as_json: _Json = False,
) -> None:
    """Freeze the winners as they are now. Where nothing changed, the newest generation is named again."""
    from ...cache.wire_generations import generation_to_json
    from ..tuning import this_user
    from .generation_tables import print_frozen

    with _opened(db) as services:
        done = services.freeze(note, this_user())
    if as_json:
        _say({**generation_to_json(done.generation), "is_new": done.is_new})
    else:
        print_frozen(done)


def _diff(
    before: Annotated[int, typer.Argument(metavar="N", min=1, help="the generation before")],
    after: Annotated[int, typer.Argument(metavar="M", min=1, help="the generation after")],
    limit: Annotated[int, typer.Option(help="show at most so many changes", min=1)] = 50,
    db: _Db = None,
    as_json: _Json = False,
) -> None:
    """What became of each answer: new, gone, another config, another time; what changed most comes first."""
    from .generation_tables import print_diff

    with _opened(db) as services:
        found = services.diff(before, after)
    if as_json:
        _say(found.as_json())
    else:
        print_diff(found, limit)


def _export(
    number: _Number,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="to write; packed where the name ends in .gz")],
    db: _Db = None,
    as_json: _Json = False,
) -> None:
    """Write a generation to a file that answers lookups by itself: --db generation:FILE, or KERNTUNE_DB."""
    from .exits import complain

    with _opened(db) as services:
        made = services.generation(number)
        size = services.export(number, file)
    if as_json:
        _say({"number": number, "digest": made.digest, "answers": made.answers, "file": str(file), "bytes": size})
    else:
        complain(f"generation {number}: {made.answers:,} answers, {size / 1e3:,.1f} kB in {file}")
        complain(f"look up in it: KERNTUNE_DB=generation:{file.absolute()}")


@contextmanager
def _opened(db: str | None) -> Iterator[GenerationServices]:
    from contextlib import closing

    from .. import settings, wiring
    from ..generation_services import GenerationServices

    with closing(GenerationServices(wiring.open_pins(settings.read(), db))) as services:
        yield services


def _say(data: dict[str, Any]) -> None:
    print(json.dumps(data, allow_nan=False))  # noqa: T201 -- the command's own answer
