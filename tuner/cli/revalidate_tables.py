"""What `tune revalidate` shows: a bar meanwhile, then a table for people or one JSON object for programs."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..hosts import Host
from ..revalidating import RevalidateReport, Task
from .progress import put_away
from .words import count_of, duration, name_of, time_of

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class RevalidateView:
    """Draws on a terminal; says one plain line where standard error is a file or a pipe."""

    _bar: Progress | None = None
    _line: TaskID

    def __enter__(self) -> RevalidateView:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            put_away(self._bar)

    def started(self, host: Host, tasks: Sequence[Task]) -> None:
        """The store was asked: say how many problems are to be timed anew."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
        waiting = [task for task in tasks if task.state == "waiting"]
        exact = f", {len(tasks) - len(waiting)} more are exact" if len(tasks) > len(waiting) else ""
        console.print(f"Revalidating {count_of(waiting, 'problem')}{exact} on {host.target.name}")
        for note in host.notes.values():
            console.print(note)
        columns = [TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn()]
        self._bar = Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty())
        self._line = self._bar.add_task("starting", total=len(waiting))
        self._bar.start()

    def changed(self, task: Task) -> None:
        """A problem is done."""
        if self._bar is not None:
            self._bar.update(self._line, description=name_of(task.key.problem), advance=1)


def as_json(report: RevalidateReport, dry_run: bool) -> dict[str, Any]:
    """Times in µs; `budget_s` of each problem is what it may take, `seconds` what it took."""
    return {
        "target": report.host.target.as_dict(),
        "problems": [_task_json(task) for task in report.tasks],
        "advised": [task.key.problem.digest for task in report.advised],
        "seconds": round(report.seconds, 3),
        "dry_run": dry_run,
        "interrupted": report.interrupted,
    }


def _task_json(task: Task) -> dict[str, Any]:
    best = task.best
    return {
        "problem": task.key.problem.as_dict(),
        "policy": task.key.policy.as_dict(),
        "state": task.state,
        "reason": task.reason or None,
        "differences": task.key.explain_difference(task.before.key),
        "configs": [{"template": r.template, "digest": r.config.digest, "before_us": r.ranked_us} for r in task.few],
        "before_us": task.before.ranked_us,
        "after_us": None if best is None else best.ranked_us,
        "template": None if best is None else best.template,
        "digest": None if best is None else best.config.digest,
        "same_config": None if best is None else best.config == task.before.config,
        "original_s": task.cost_s,
        "budget_s": round(task.budget_s, 3),
        "seconds": round(task.seconds, 3),
        "doubts": list(task.doubts),
        "retuned": task.retuned,
    }


def print_json(report: RevalidateReport, dry_run: bool) -> None:
    """One object on standard output."""
    print(json.dumps(as_json(report, dry_run), allow_nan=False))  # noqa: T201 -- the command's own answer


def print_report(report: RevalidateReport, dry_run: bool) -> None:
    """A line for each problem, and for which a search is advised."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    if not report.tasks:
        console.print("nothing to do: no older tools were at work on this device, and no template was edited")
        return
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("problem", min_width=13)
    for column in ("before", "now", "change", "config", "took", "search"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("state", min_width=8)
    for task in report.tasks:
        table.add_row(escape(name_of(task.key.problem)), *_columns(task, dry_run))
    console.print(table)
    states = Counter("to do" if dry_run and task.state == "waiting" else _state(task, False) for task in report.tasks)
    said = ", ".join(f"{count} {state}" for state, count in states.items())
    console.print(f"problems  {said} in {duration(report.seconds)}")
    console.print(f"device    {escape(report.host.target.name)}")
    if report.interrupted:
        console.print("interrupted: what was timed is kept; the same command goes on with the rest")
    for task in () if dry_run else report.advised:
        why = "; ".join(task.doubts) or task.reason
        console.print(f"advised   {escape(_command(task))}")
        console.print(f"          {escape(why)}")
    if report.advised and not dry_run:
        console.print("--retune searches these anew")


def _columns(task: Task, dry_run: bool) -> tuple[str, ...]:
    before_us, after_us = task.before.ranked_us, task.best.ranked_us if task.best else None
    change = "-" if before_us is None or after_us is None else f"{after_us / before_us - 1:+.1%}"
    config = "-" if task.best is None else "same" if task.best.config == task.before.config else "other"
    took = f"≤ {task.budget_s:.1f} s" if dry_run else f"{task.seconds:.1f} s"
    search = "-" if task.cost_s is None else duration(task.cost_s)
    return _time(before_us), _time(after_us), change, config, took, search, _state(task, dry_run)


def _state(task: Task, dry_run: bool) -> str:
    if task.state == "waiting":
        return f"would time {len(task.few)}" if dry_run else "waiting"
    return "searched" if task.retuned else task.state


def _time(us: float | None) -> str:
    return "-" if us is None else time_of(us)


def _command(task: Task) -> str:
    """The search that is advised, as it is typed: what does not follow from the rest is said."""
    from ...templates.catalogue import op_named
    from .flags import flag_name

    problem, op = task.key.problem, op_named(task.key.problem.op)
    named = {name: problem[name] for name in (*op.letters, "dtype")}
    plain = op.problem(task.key.target.kind, **named)
    words = {"dtype": problem["dtype"]} | {
        f.name: problem[f.name] for f in op.fields if problem[f.name] != plain[f.name]
    }
    stated = "".join(f" {flag_name(name)} {value}" for name, value in words.items())
    policy = "" if task.key.policy.cache == "cold" else f" --policy {task.key.policy.cache}"
    return f"tune {op.name} --shape {op.shape_of(problem)}{stated}{policy} --force"
