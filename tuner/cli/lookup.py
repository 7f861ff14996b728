"""`tune lookup OP …`: the best known config, without tuning; from this machine's database or from a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from ...templates.catalogue import ops
from ...templates.op import Op
from .flags import OpCommand, answer_options, as_asked, fields_of, op_options, option, with_signature

if TYPE_CHECKING:
    from ...cache.records import Answer

_DEVICE_HELP = "auto, cpu, cuda, cuda:1; with --server also a device's name as recorded there"


def lookup_group() -> typer.Typer:
    """`tune lookup` with one command per op."""
    group = typer.Typer(
        help="The best known config of a problem, without tuning.",
        epilog="Example: tune lookup gemm --shape 1024x1024x1024",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for op in ops().values():
        group.command(op.name, cls=OpCommand, epilog=f"Example: tune lookup {op.name} --shape {op.example}")(
            _command(op)
        )
    # One command would take the group's place; typer keeps the op's name only beside a callback.
    group.callback()(lambda: None)
    return group


def _command(op: Op) -> Any:
    options = [
        *op_options(op),
        option("device", str, "auto", _DEVICE_HELP),
        option("min_match", str, "stale", "the farthest match accepted", metavar="exact|stale|near|model"),
        option("generation", int | None, None, "pin to this one [env KERNTUNE_GENERATION]", metavar="N", min=1),
        option("server", str | None, None, "ask this server instead [env KERNTUNE_SERVER]", metavar="URL"),
        *answer_options(),
    ]
    doc = f"The best known config of {op.summary}; measures nothing."
    return with_signature(lambda values: _run(op, values), op.name, doc, options)


def _run(op: Op, values: Mapping[str, Any]) -> None:
    from ..backends.gpu_target import wake_driver

    if values["device"] != "cpu":
        wake_driver()  # first of all: the imports below take as long
    from ...cache.wire import answer_to_json
    from ...spaces.canonical import canonical_json
    from ...spaces.errors import NoAnswer
    from .. import asking, settings

    config = settings.read()
    server = asking.server_for(config, values["server"], values["db"])
    fields = fields_of(op, values)
    words = {name: values[name] for name in ("device", "policy", "min_match")}
    words["generation"] = config.generation if values["generation"] is None else values["generation"]
    misses: list[str] = []
    if server:
        answer = asking.ask_server(server, op, fields, **words)
    else:
        answer, misses = asking.ask_store(op, fields, **words, db_url=values["db"])
    if answer is None:
        nearest = f" The nearest record differs in: {'; '.join(misses)}." if misses else ""
        raise NoAnswer(
            f"nothing is known about {op.name} {values['shape']} ({server or 'this machine'}).{nearest} "
            f"Tune it: tune {op.name} {as_asked(op, values)}"
        )
    if values["json"]:
        # A pinned answer is the same bytes wherever it is read.
        write = json.dumps if answer.generation is None else canonical_json
        print(write(answer_to_json(answer)))  # noqa: T201 -- the command's own answer
    else:
        _print(op, answer)


def _print(op: Op, answer: Answer) -> None:
    from rich.console import Console
    from rich.markup import escape

    from .words import time_of

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"config    {escape(repr(answer.config))}")
    console.print(f"template  {escape(answer.template)}")
    speedup = f", {answer.speedup:.2f} × {answer.baseline_name}" if answer.speedup else ""
    where = f" at {op.shape_of(answer.problem)}" if answer.match == "near" else ""
    measured = f" ± {time_of(answer.spread_us)}" if answer.samples else ", foretold"
    console.print(f"time      {time_of(answer.median_us)}{measured}{where}{escape(speedup)}")
    differing = f": {'; '.join(answer.differences)}" if answer.differences else ""
    console.print(f"match     {answer.match}{escape(differing)}")
    if answer.match in ("near", "model"):
        said = "not known" if answer.expected_slowdown is None else f"{answer.expected_slowdown:.2f} ×"
        console.print(f"slowdown  {said} the best that is foretold here")
    if answer.generation is not None:
        console.print(f"frozen    in generation {answer.generation}")
    when = answer.recorded_at.isoformat(timespec="seconds")
    console.print(
        f"evidence  {answer.samples} samples on {escape(answer.target.name)}, {when}, {escape(answer.recorded_by)}"
    )
