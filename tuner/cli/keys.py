"""`tune keys`: who may ask the server, and for what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ...cache.keys import ApiKey
    from ..key_services import KeyBook, Made

_Db = Annotated[str | None, typer.Option(help="SQLAlchemy URL of the database [env KERNTUNE_DB]", metavar="URL")]
_Json = Annotated[bool, typer.Option("--json", help="one JSON object on standard output")]
_Id = Annotated[str, typer.Argument(metavar="ID", help="as `tune keys list` shows it")]


def keys_group() -> typer.Typer:
    """The commands of keys."""
    group = typer.Typer(
        help="Keys of the HTTP service: made, listed, revoked, rotated.",
        epilog="Example: tune keys create ci --scope read --expires 90d",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("create", epilog="Example: tune keys create ci --scope read --scope submit --expires 90d")(create)
    group.command("list", epilog="Example: tune keys list --json")(list_keys)
    group.command("revoke", epilog="Example: tune keys revoke k3vq7mzt2x5a")(revoke)
    group.command("rotate", epilog="Example: tune keys rotate k3vq7mzt2x5a --grace 24h")(rotate)
    return group


def create(
    name: Annotated[str, typer.Argument(help="who will use it")],
    scope: Annotated[
        list[str], typer.Option(help="read, submit, record or admin; submit and record include read, admin all")
    ],
    expires: Annotated[str | None, typer.Option(help="how long it lasts: 90d, 24h; for ever if not said")] = None,
    db: _Db = None,
    as_json: _Json = False,
) -> None:
    """Make a key. It is shown once, here, and kept nowhere: only its SHA-256 is."""
    from ..key_services import duration_of

    lasting = None if expires is None else duration_of(expires, "--expires")
    with _book(db) as book:
        made = book.create(name, scope, lasting)  # type: ignore[arg-type]  # checked there
    _show(made, as_json)


def list_keys(db: _Db = None, as_json: _Json = False) -> None:
    """Every key: its id, name, scopes and stamps. None is shown itself."""
    with _book(db) as book:
        known = book.all()
    if as_json:
        print(json.dumps({"keys": [_as_dict(key) for key in known]}))  # noqa: T201
    else:
        _print(known)


def revoke(key_id: _Id, db: _Db = None, as_json: _Json = False) -> None:
    """End a key: servers refuse it within two seconds."""
    from .exits import complain

    with _book(db) as book:
        key = book.revoke(key_id)
    if as_json:
        print(json.dumps(_as_dict(key)))  # noqa: T201
    else:
        complain(f"{key.id} ({key.name}) is revoked; servers refuse it within 2 s")


def rotate(
    key_id: _Id,
    grace: Annotated[str, typer.Option(help="how long the old key goes on working: 24h, 0s")] = "24h",
    db: _Db = None,
    as_json: _Json = False,
) -> None:
    """Make a key of the same name and scopes in the place of an old one, which works on for a while."""
    from ..key_services import duration_of

    with _book(db) as book:
        made = book.rotate(key_id, duration_of(grace, "--grace"))
    _show(made, as_json)


@contextmanager
def _book(db: str | None) -> Iterator[KeyBook]:
    from contextlib import closing

    from .. import settings, wiring
    from ..key_services import KeyBook

    with closing(wiring.open_keys(settings.read(), db)) as keys:
        yield KeyBook(keys)


def _show(made: Made, as_json: bool) -> None:
    from .exits import complain

    if as_json:
        print(json.dumps({"key": made.text, **_as_dict(made.key)}))  # noqa: T201
        return
    complain(f"key {made.key.id} of {made.key.name} ({', '.join(made.key.scopes)}): keep it, it is not shown again")
    print(made.text)  # noqa: T201


def _as_dict(key: ApiKey) -> dict[str, Any]:
    stamps = ("created_at", "expires_at", "revoked_at", "last_used_at")
    said = {name: stamp and stamp.isoformat() for name in stamps for stamp in [getattr(key, name)]}
    return {"id": key.id, "name": key.name, "scopes": list(key.scopes), **said}


def _print(known: list[ApiKey]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("id", "name", "scopes", "created", "ends", "last used"):
        table.add_column(title, no_wrap=title != "name")
    for key in known:
        last = key.last_used_at.isoformat(" ", "minutes")[:16] if key.last_used_at else "never"
        words = (key.id, key.name, ",".join(key.scopes), key.created_at.date().isoformat(), _end(key), last)
        table.add_row(*map(Text, words))
    console = Console(highlight=False)
    (console if console.is_terminal else Console(highlight=False, width=160)).print(table)


def _end(key: ApiKey) -> str:
    if key.revoked_at:
        return "revoked"
    return key.expires_at.isoformat(" ", "minutes")[:16] if key.expires_at else "never"
