"""`tune list`: what is known, a line for each problem on each device."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ...cache.records import Answer

UNCUT = 240
"""Columns where nobody looks at a terminal: a pipe is given every word."""

DIGEST_CHARS = 8
"""Of a config's digest, as the table shows it; `tune bench` takes as many."""


def list_known(
    op: Annotated[list[str] | None, typer.Argument(help="only these: gemm", metavar="[OP]…")] = None,
    device: Annotated[str, typer.Option(help="only devices with this in their name", metavar="TEXT")] = "",
    dtype: Annotated[str, typer.Option(help="only problems of this type")] = "",
    template: Annotated[str, typer.Option(help="only answers of this template", metavar="NAME")] = "",
    db: Annotated[
        str | None, typer.Option(help="SQLAlchemy URL of the database [env KERNTUNE_DB]", metavar="URL")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """The best that is known of every problem; measures nothing."""
    from ...cache.wire import answer_to_json
    from ...spaces.errors import NoAnswer, UnknownName
    from ...templates.catalogue import op_named, ops, templates
    from .. import settings, wiring
    from ..listing import Filter, listed_answers

    named = tuple(op_named(name).name for name in dict.fromkeys(op or ()))
    known = [one.name for name in named or ops() for one in templates(name)]
    if template and template not in known:
        raise UnknownName(template, f"a template of {', '.join(named or ops())}", known, "--template")
    store = wiring.open_store(settings.read(), db)
    try:
        answers = listed_answers(store, Filter(named, device, dtype, template))
    finally:
        store.close()
    if as_json:
        print(json.dumps({"answers": [answer_to_json(one) for one in answers]}, allow_nan=False))  # noqa: T201
    elif answers:
        _print(answers)
    else:
        narrowed = any((op, device, dtype, template))
        what = "nothing that fits is known" if narrowed else "nothing is known yet"
        raise NoAnswer(f"{what} in {wiring.shown_url(db or settings.read().db_url)}. Tune something: tune --help")


def _print(answers: list[Answer]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=UNCUT)
    for name in dict.fromkeys(answer.target.name for answer in answers):
        table = Table(title=Text(name), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("problem", min_width=13)  # breaks at spaces, so that the rest fits 80 columns
        for title in ("time", "vendor"):
            table.add_column(title, justify="right", no_wrap=True)
        for title in ("template", "config", "when"):
            table.add_column(title, no_wrap=True)
        for answer in answers:
            if answer.target.name == name:
                table.add_row(*_row(answer))
        console.print(table)


def _row(answer: Answer) -> tuple[Any, ...]:
    from rich.text import Text

    from .words import name_of, time_of

    speedup = "-" if answer.speedup is None else f"{answer.speedup:.2f}×"
    when = answer.recorded_at.date().isoformat() + ("" if answer.match == "exact" else ", edited")
    words = (name_of(answer.problem), time_of(answer.median_us), speedup)
    return tuple(Text(word) for word in (*words, answer.template, answer.digest[:DIGEST_CHARS], when))
