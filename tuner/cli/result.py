"""The result of a tuning command: a table for people, one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ...cache.records import Answer
from ...cache.wire import answer_to_json
from ...templates.catalogue import op_named
from ..stopping import Stop
from ..tuning import Report
from .words import duration, rate, tflops, time_of

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


def as_json(report: Report) -> dict[str, Any]:
    """The fields of INTERFACE's `--json`; times in µs."""
    answer, counts = report.answer, asdict(report.counts)
    spaces = {name: {"size": space.cartesian, "feasible": len(space)} for name, space in report.spaces.items()}
    return {
        **timed(answer),
        "trials": counts,
        "space": spaces[answer.template],
        "spaces": spaces,
        "match": answer.match,
        "generation": answer.generation,
        "cached": report.cached,
        "stopped": report.stopped,
        "seconds": round(report.seconds, 3),
    }


def print_json(report: Report) -> None:
    """One object on standard output."""
    print(json.dumps(as_json(report), allow_nan=False))  # noqa: T201 -- the command's own answer


def print_report(report: Report) -> None:
    """The winner beside the vendor library, and how it was found."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    answer, counts = report.answer, report.counts
    op = op_named(answer.problem.op)
    table = Table(title=f"{op.name} {op.shape_of(answer.problem)} {answer.problem['dtype']} {answer.problem['layout']}")
    for column in ("", "time", "± spread", "rate", "ratio"):
        table.add_column(column, justify="left" if column == "" else "right")
    speedup = answer.speedup
    table.add_row(
        f"kerntune {answer.template}",
        time_of(answer.median_us),
        time_of(answer.spread_us),
        rate(answer.problem, answer.median_us),
        "-" if speedup is None else f"{speedup:.2f} ×",
        style="bold",
    )
    if answer.baseline_us is not None:
        base_us = answer.baseline_us
        table.add_row(escape(str(answer.baseline_name)), time_of(base_us), "", rate(answer.problem, base_us), "1.00 ×")
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(f"config    {escape(repr(answer.config))}")
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
