"""The result of `tune workload`: a table for people, one JSON object for programs."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..tasks import Task, WorkloadReport
from .words import duration, name_of, time_of

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = ("problem", "weight", "first", "best", "gain", "vendor", "share", "trials", "state")

MIN_WIDTHS = {"problem": 13, "state": 8}

ROOMY = 100
"""Columns of a terminal from which on there are two spaces between those of the table."""


def as_json(report: WorkloadReport) -> dict[str, Any]:
    """Times in µs; `before_us` and `after_us` are totals of weight × time, of the problems that ran."""
    return {
        "target": report.host.target.as_dict(),
        "before_us": report.before_us,
        "after_us": report.after_us,
        "gain": _ratio(report.before_us, report.after_us),
        "problems": [_task_json(task) for task in report.tasks],
        "time_s": None if math.isinf(report.time_s) else report.time_s,
        "seconds": round(report.seconds, 3),
        "interrupted": report.interrupted,
    }


def _task_json(task: Task) -> dict[str, Any]:
    answer = task.answer
    return {
        "problem": task.problem.as_dict(),
        "weight": task.weight,
        "state": task.state,
        "reason": task.reason or None,
        "settled": task.is_settled,
        "template": None if answer is None else answer.template,
        "config": None if answer is None else dict(answer.config),
        "digest": None if answer is None else answer.config.digest,
        "first_us": task.first_us,
        "median_us": task.best_us,
        "gain": _ratio(task.first_us, task.best_us),
        "baseline": None
        if answer is None or answer.baseline_us is None
        else {"name": answer.baseline_name, "median_us": answer.baseline_us},
        "speedup": None if answer is None else answer.speedup,
        "trials": asdict(task.counts),
        "slices": len(task.slices_s),
        "seconds": round(task.search_s + task.playoff_s, 3),
    }


def print_json(report: WorkloadReport) -> None:
    """One object on standard output."""
    print(json.dumps(as_json(report), allow_nan=False))  # noqa: T201 -- the command's own answer


def print_report(report: WorkloadReport) -> None:
    """Each problem's time before and after, and the totals."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    gap = 1 if console.width >= ROOMY else 0
    table = Table(box=SIMPLE_HEAD, padding=(0, gap, 0, 0), pad_edge=False)
    for column in COLUMNS:  # names and states break at spaces, so that the numbers fit 80 columns
        words = column in ("problem", "state")
        table.add_column(
            column, justify="left" if words else "right", no_wrap=not words, min_width=MIN_WIDTHS.get(column)
        )
    total = report.after_us or 0.0
    for task in report.tasks:
        answer = task.answer
        share = "-" if task.best_us is None or not total else f"{task.weight * task.best_us / total:.0%}"
        table.add_row(
            *(escape(name_of(task.problem)), f"{task.weight:g}", _time(task.first_us), _time(task.best_us)),
            *(_times(_ratio(task.first_us, task.best_us)), _times(None if answer is None else answer.speedup)),
            *(share, f"{sum(asdict(task.counts).values())}", _state(task, report.interrupted)),
        )
    console.print(table)
    _print_totals(console, report)


def _print_totals(console: Console, report: WorkloadReport) -> None:
    from rich.markup import escape

    if report.before_us is not None and report.after_us is not None:
        gain = _times(_ratio(report.before_us, report.after_us))
        ran = sum(task.best_us is not None for task in report.tasks)
        of = "" if ran == len(report.tasks) else f", of {ran} of {len(report.tasks)} problems"
        console.print(f"total     {time_of(report.before_us)} → {time_of(report.after_us)} ({gain}), weight × time{of}")
    states = Counter(task.state for task in report.tasks)
    said = ", ".join(f"{count} {state}" for state, count in states.items())
    console.print(f"problems  {said} in {duration(report.seconds)}")
    console.print(f"device    {escape(report.host.target.name)}")
    for task in report.tasks:
        if task.reason:
            console.print(f"failed    {escape(name_of(task.problem))}: {escape(task.reason)}")
    if states["cut"] or states["waiting"]:
        unsettled = any(task.state in ("cut", "waiting") and not task.is_settled for task in report.tasks)
        if report.interrupted:
            console.print("interrupted: this is the best so far; the same command goes on from there")
        elif unsettled:
            console.print("time is up: the same command goes on with what has had no playoff; a longer --time helps")
    for note in report.host.notes.values():
        console.print(f"note      {escape(note)}")


def _state(task: Task, interrupted: bool) -> str:
    if task.state in ("cut", "converged") and not task.is_settled and task.best_us is not None:
        return f"{'interrupted' if interrupted else task.state}, no playoff"
    return task.state


def _time(us: float | None) -> str:
    return "-" if us is None else time_of(us)


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}×"


def _ratio(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else before / after
