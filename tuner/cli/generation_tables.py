"""Generations as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...cache.generations import Frozen, Generation
from ...cache.records import Answer
from ..freezing import Change
from ..generation_services import Diff
from .list import DIGEST_CHARS, UNCUT
from .words import name_of, time_of


def print_generations(known: Sequence[Generation]) -> None:
    """A line for each."""
    table = _table("generation", "answers", "digest", "when", "by", "note", right=2)
    for one in known:
        words = str(one.number), f"{one.answers:,}", one.digest[:DIGEST_CHARS], _when(one), one.created_by, one.note
        table.add_row(*map(Text, words))
    _console().print(table)


def print_frozen(done: Frozen) -> None:
    """What came of freezing, in one line."""
    one = done.generation
    said = "" if done.is_new else ", as before: nothing has changed since it was frozen"
    text = f"generation {one.number}{said}: {one.answers:,} answers, digest {one.digest}, {_when(one)}"
    _console().print(Text(text), soft_wrap=True)


def print_diff(diff: Diff, limit: int) -> None:
    """How many became what, then a table for each device."""
    console = _console()
    counts = ", ".join(f"{count:,} {kind}" for kind, count in diff.counts.items() if count)
    console.print(Text(f"generation {diff.before.number} → {diff.after.number}: {counts}"), soft_wrap=True)
    shown = diff.changes[:limit]
    for name in dict.fromkeys(change.answer.target.name for change in shown):
        table = _table("problem", "what", "before", "after", "ratio", "config", title=name)
        for change in shown:
            if change.answer.target.name == name:
                table.add_row(*map(Text, _row(change)))
        console.print(table)
    if len(diff.changes) > limit:
        console.print(f"{len(diff.changes) - limit:,} more: --limit {len(diff.changes)}, or --json for all")


def _row(change: Change) -> tuple[str, ...]:
    ratio = "-" if change.ratio is None else f"{change.ratio:.3f}×"
    sides = (_config(change.before), _config(change.after))
    config = sides[0] if sides[0] == sides[1] else " → ".join(filter(None, sides))
    policy = "" if change.answer.policy.cache == "cold" else f" {change.answer.policy.cache}"
    times = _time(change.before), _time(change.after)
    return f"{name_of(change.answer.problem)}{policy}", change.kind, *times, ratio, config


def _time(answer: Answer | None) -> str:
    return "-" if answer is None else time_of(answer.median_us)


def _config(answer: Answer | None) -> str:
    return "" if answer is None else f"{answer.template} {answer.digest[:DIGEST_CHARS]}"


def _when(generation: Generation) -> str:
    return generation.created_at.isoformat(sep=" ", timespec="minutes").removesuffix("+00:00") + " UTC"


def _table(*columns: str, title: str | None = None, right: int = 0) -> Table:
    named = None if title is None else Text(title)
    table = Table(title=named, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        numeric = place < right or column in ("before", "after", "ratio")
        table.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    return table


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=UNCUT)
