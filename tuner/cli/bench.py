"""`tune bench OP --config …`: one config again, verified, beside the vendor library and the template's default."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from ...templates.catalogue import ops
from ...templates.op import Op
from .exits import complain
from .flags import DEVICE_HELP, OpCommand, answer_options, fields_of, op_options, option, with_signature

if TYPE_CHECKING:
    from ...cache.records import Baseline, RecordKey
    from ..benching import Report
    from ..named_config import Choice

NOTABLE_CHANGE = 0.02
"""Above this a config is said to run slower or faster than it did."""

_CONFIG_HELP = "JSON of its parameters, or 6 or more characters of a known config's digest; default: the best known"


def bench_group() -> typer.Typer:
    """`tune bench` with one command per op."""
    group = typer.Typer(
        help="One config again: checked, and timed beside the vendor library and the default.",
        epilog="Example: tune bench gemm --shape 1024x1024x1024 --config 3f1c9a",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for op in ops().values():
        group.command(op.name, cls=OpCommand, epilog=f"Example: tune bench {op.name} --shape {op.example}")(
            _command(op)
        )
    # One command would take the group's place; typer keeps the op's name only beside a callback.
    group.callback()(lambda: None)
    return group


def _command(op: Op) -> Any:
    options = [
        *op_options(op),
        option("config", str | None, None, _CONFIG_HELP, metavar="JSON|DIGEST"),
        option("device", str, "auto", DEVICE_HELP),
        option("template", list[str], [], "a config of this template; may be given several times"),
        option("seed", int, 0, "of the random inputs"),
        *answer_options(),
    ]
    doc = f"One config of {op.summary} again: checked on fresh inputs, timed interleaved with its rivals, remembered."
    return with_signature(lambda values: _run(op, values), op.name, doc, options)


def _run(op: Op, values: Mapping[str, Any]) -> None:
    from ..backends.gpu_target import wake_driver

    if values["device"] != "cpu":
        wake_driver()  # first of all: the imports below take as long
    from .. import benching

    request = benching.Request(
        op=op.name,
        fields=fields_of(op, values),
        config=values["config"],
        device=values["device"],
        templates=tuple(values["template"]),
        seed=values["seed"],
        policy=values["policy"],
        db_url=values["db"],
    )
    report = benching.run(request, _say_started)
    if values["json"]:
        print(json.dumps(_as_json(report), allow_nan=False))  # noqa: T201 -- the command's own answer
    else:
        _print(report)
    if report.change is not None and abs(report.change) > NOTABLE_CHANGE:
        complain(
            f"warning: {_change(report)}, than the time known of this config; `tune {op.name} --force` searches again"
        )


def _say_started(choice: Choice, key: RecordKey) -> None:
    from ..tuning import words_of

    name = f"{choice.template.name} {choice.config.digest[:12]} ({choice.why})"
    complain(f"Checking and timing {key.problem.op} {words_of(key.problem)} on {key.target.name}: {name}")


def _as_json(report: Report) -> dict[str, Any]:
    """Times in µs."""
    from ...cache.records import Measurement
    from ...cache.wire import stamp_to_text
    from ..lookup import answer_from
    from .result import timed, ways_of

    default, known = report.default_time, report.known
    return {
        **timed(answer_from(report.record, report.measurement)),
        "default": {"config": dict(report.default), "median_us": default.median_us}
        if isinstance(default, Measurement)
        else None,
        "known": {"median_us": known.measurement.median_us, "recorded_at": stamp_to_text(known.recorded_at)}
        if known and known.measurement
        else None,
        "vendors": ways_of(report.record.baseline),
        "left_out": dict(report.left_out),
        "rounds": report.rounds,
        "seconds": round(report.seconds, 3),
    }


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.markup import escape

    from ...cache.records import Failure
    from .words import rate, time_of

    console = Console(highlight=False, soft_wrap=True)
    config, measured, baseline = report.record.config, report.measurement, report.record.baseline
    console.print(f"config    {escape(repr(config))}")
    console.print(f"digest    {config.digest}")
    console.print(f"template  {escape(report.choice.template.name)}")
    spread, pace = time_of(measured.spread_us), rate(report.record.key.problem, measured.median_us)
    console.print(f"time      {time_of(measured.median_us)} ± {spread}, {pace}; the numbers are right")
    for way in (baseline, *baseline.others) if baseline else ():
        console.print(f"vendor    {time_of(way.median_us)}: the config is {escape(_how(way))}")
        if way.fault:
            console.print(f"          its numbers are off: {escape(way.fault)}")
    for name, reason in report.left_out.items():
        console.print(f"left out  {escape(f'{name}: {reason}')}")
    default = report.default_time
    if isinstance(default, Failure):
        console.print(f"default   {escape(f'{default.kind}: {default.reason}')}")
    elif report.default == config:
        console.print("default   this config is the template's default")
    else:
        ratio = default.median_us / measured.median_us
        console.print(f"default   {time_of(default.median_us)}: the config is {ratio:.2f} × the default")
    if report.known and report.known.measurement:
        when = report.known.recorded_at.isoformat(timespec="seconds")
        console.print(f"known     {time_of(report.known.measurement.median_us)} on {when}: {_change(report)}")


def _how(way: Baseline) -> str:
    """The config against one of the vendor's ways."""
    interval = way.speedup_interval
    within = f" (95 %: {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    return f"{way.speedup or 0.0:.3f} × {way.name}, round by round{within}"


def _change(report: Report) -> str:
    change = report.change or 0.0
    where = "outside" if report.outside_spread else "within"
    return f"{abs(change):.1%} {'slower' if change > 0 else 'faster'} now, {where} the spread"
