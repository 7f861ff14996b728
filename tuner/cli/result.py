"""The result of a tuning command: a table for people, one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...cache.records import Answer, Baseline, Record
from ...cache.wire import answer_to_json
from ..stopping import Stop
from ..tuning import Report
from ..vendor_answer import PREFIX, is_vendors
from .words import duration, name_of, rate, tflops, time_of

if TYPE_CHECKING:
    from rich.table import Table

ENDS: Mapping[Stop | None, str] = {
    "trials": "all trials were made (--trials)",
    "time": "the time was up (--time)",
    "patience": "no better best for as many trials as --patience allows",
    "gain": "the sampler expected to gain less than --min-gain",
    "target": "the best reached --target-us",
    "exhausted": "every feasible config was tried",
}
"""Why a search ended, in words; an interrupt has words of its own."""

TIMED = (
    *("problem", "target", "policy", "template", "config", "digest"),
    *("median_us", "spread_us", "tflops", "baseline", "speedup"),
)


def timed(answer: Answer) -> dict[str, Any]:
    """What every command says of a config that was timed: what it is of, its time, and the vendor library's."""
    told = answer_to_json(answer)
    told["tflops"] = tflops(answer.problem, answer.median_us)
    return {name: told[name] for name in TIMED}


def ways_of(baseline: Baseline | None) -> list[dict[str, Any]]:
    """Every way of the vendor's that met a config, fastest first: its time, and the config's speedup over it."""
    return [
        {
            "name": way.name,
            "median_us": way.median_us,
            "speedup": way.speedup,
            "interval": way.speedup_interval and list(way.speedup_interval),
            "fault": way.fault,
        }
        for way in ((baseline, *baseline.others) if baseline else ())
    ]


def as_json(report: Report) -> dict[str, Any]:
    """The fields of INTERFACE's `--json`; times in µs. Where the vendor's library answers, `own` is our best."""
    answer, counts = report.answer, asdict(report.counts)
    spaces = {name: {"size": space.cartesian, "feasible": len(space)} for name, space in report.spaces.items()}
    own = {"own": _own(report.record)} if is_vendors(answer) else {}
    return {
        **timed(answer),
        **own,
        "vendors": ways_of(report.record.baseline),
        "trials": counts,
        "space": spaces.get(answer.template),  # the vendor's library has none
        "spaces": spaces,
        "match": answer.match,
        "generation": answer.generation,
        "cached": report.cached,
        "stopped": report.stopped,
        "seconds": round(report.seconds, 3),
    }


def _own(record: Record) -> dict[str, Any]:
    """Our own best."""
    measurement = record.measurement
    assert measurement is not None, "what stands as the best was measured"
    return {
        "template": record.template,
        "config": dict(record.config),
        "digest": record.config.digest,
        "median_us": measurement.median_us,
        "spread_us": measurement.spread_us,
    }


def print_json(report: Report) -> None:
    """One object on standard output."""
    print(json.dumps(as_json(report), allow_nan=False))  # noqa: T201 -- the command's own answer


def print_report(report: Report) -> None:
    """The winner beside the vendor library, and how it was found."""
    from rich.console import Console
    from rich.markup import escape

    answer, counts = report.answer, report.counts
    console = Console(highlight=False, soft_wrap=True)
    console.print(_table(report))
    if is_vendors(answer):
        console.print(
            f"answer    {escape(answer.template.removeprefix(PREFIX))}: faster than our own best (--allow-vendor)"
        )
    console.print(f"config    {escape(repr(report.record.config))}")
    console.print(f"device    {escape(answer.target.name)}")
    feasible = sum(len(space) for space in report.spaces.values())
    tried = f"{counts.measured} measured, {counts.failed} failed, {counts.rejected} rejected of {feasible:,} feasible"
    if report.cached:
        when = answer.recorded_at.isoformat(timespec="seconds")
        console.print(f"cached    measured {when} by {escape(answer.recorded_by)} ({tried}); --force measures again")
    else:
        console.print(f"search    {tried} in {duration(report.seconds)}")
    if report.stopped in ENDS:
        console.print(f"ended     {ENDS[report.stopped]}")
    if report.interrupted:
        console.print("interrupted: this is the best so far; the same command goes on from there")
    for note in report.notes.values():
        console.print(f"note      {escape(note)}")


def _table(report: Report) -> Table:
    """Our best and every way of the vendor's, which the fastest of them is the measure of."""
    from rich.markup import escape
    from rich.table import Table

    record, problem = report.record, report.answer.problem
    measurement, baseline = record.measurement, record.baseline
    assert measurement is not None, "what stands as the best was measured"
    table = Table(title=name_of(problem))
    for column in ("", "time", "± spread", "rate", "ratio"):
        table.add_column(column, justify="left" if column == "" else "right")
    base_us = None if baseline is None else baseline.median_us

    def row(name: str, us: float, spread: str, style: str | None = None) -> None:
        ratio = "-" if base_us is None else f"{base_us / us:.2f} ×"
        table.add_row(escape(name), time_of(us), spread, rate(problem, us), ratio, style=style)

    row(f"kerntune {record.template}", measurement.median_us, time_of(measurement.spread_us), "bold")
    for way in (baseline, *baseline.others) if baseline else ():
        row(way.name if way.fault is None else f"{way.name}, its numbers off", way.median_us, "")
    return table
