"""What a person sees while a study runs: bar, best so far, trials/s, time left. On standard error only."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from ...cache.records import Measurement
from ...spaces.problems import Problem
from ...templates.catalogue import op_named
from .. import transfer
from ..budget import Spending
from ..hosts import Host
from ..lanes import Lane
from ..trials import Trial
from .words import duration, rate, time_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


def put_away(bar: Progress) -> None:
    """Stop a bar, also one whose start Ctrl-C fell into: rich then finds less to undo than it looks for."""
    try:
        bar.stop()
    except IndexError:
        bar.console.show_cursor()


class ProgressView:
    """Draws on a terminal; says two plain lines where standard error is a file or a pipe."""

    _bar: Progress
    _task: TaskID
    _spending: Spending
    _problem: Problem

    def __init__(self) -> None:
        self._known = 0  # trials of an earlier run
        self._started_s: float | None = None

    def __enter__(self) -> ProgressView:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._started_s is not None:
            put_away(self._bar)

    def started(self, problem: Problem, host: Host, lanes: Sequence[Lane], spending: Spending) -> None:
        """A study begins: say of what, on what, over how many configs."""
        from rich.console import Console  # an answer from the cache shows no progress, and does not wait for rich

        console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
        op = op_named(problem.op)
        spaces = ", ".join(f"{lane.template.name} ({len(lane.feasible):,} feasible configs)" for lane in lanes)
        console.print(f"Tuning {op.name} {op.shape_of(problem)} {problem['dtype']} on {host.target.name}: {spaces}")
        if spending.trials:
            console.print(f"{spending.trials} trials are known from before; going on from there.")
        if known := transfer.summary(lane.start for lane in lanes):
            console.print(f"Starts from {known}.")
        for note in host.notes.values():
            console.print(note)
        self._spending, self._problem, self._known = spending, problem, spending.trials
        self._bar = _bar(console)
        self._started_s = time.monotonic()
        self._task = self._bar.add_task(
            "tuning", total=spending.budget.trials, completed=spending.trials, best="", pace=""
        )
        self._bar.start()

    def trial(self, trial: Trial) -> None:
        """A config was tried."""
        assert self._started_s is not None
        done = self._spending.trials - self._known
        per_s = done / max(time.monotonic() - self._started_s, 1e-9)
        left_s = min(self._spending.trials_left / per_s, self._spending.budget.time_s - self._spending.elapsed_s)
        best = trial.best.outcome if trial.best else None
        said = ""
        if isinstance(best, Measurement):
            said = f"best {time_of(best.median_us)} {rate(self._problem, best.median_us)}"
        self._bar.update(
            self._task,
            completed=self._spending.trials,
            best=said,
            pace=f"{per_s:.1f} trials/s, {duration(max(left_s, 0))} left",
        )
        if self._spending.is_spent():
            self._bar.update(self._task, description="playoff")


def _bar(console: Console) -> Progress:
    """Bar, count, best so far, pace; nothing where standard error is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[best]}"),
        TextColumn("{task.fields[pace]}", style="dim"),
        console=console,
        transient=True,
        disable=not sys.stderr.isatty(),
    )
