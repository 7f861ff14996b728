"""What a person sees while a workload runs: the problem in work, the total, time left. On standard error only."""

from __future__ import annotations

import math
import sys
from types import TracebackType
from typing import TYPE_CHECKING

from ..tasks import Task, total_us
from ..workload import Workload
from .progress import put_away
from .words import count_of, duration, name_of, time_of

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class WorkloadView:
    """Draws on a terminal; says one plain line where standard error is a file or a pipe."""

    _bar: Progress | None = None
    _line: TaskID
    _workload: Workload

    def __enter__(self) -> WorkloadView:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            put_away(self._bar)

    def started(self, workload: Workload) -> None:
        """The store was asked: say how many problems are left, and on what they run."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
        known = sum(task.state == "known" for task in workload.tasks)
        said = f", {known} of them known" if known else ""
        console.print(f"Tuning {count_of(workload.tasks, 'problem')}{said} on {workload.host.target.name}")
        for note in workload.host.notes.values():
            console.print(note)
        self._workload = workload
        columns = [TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[said]}")]
        total_s = workload.request.time_s
        self._bar = Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty())
        self._line = self._bar.add_task("starting", total=None if math.isinf(total_s) else total_s, said="")
        self._bar.start()

    def changed(self, task: Task) -> None:
        """A trial was made, or a problem's state changed."""
        if self._bar is None or self._bar.disable:
            return
        workload = self._workload
        total = total_us((one.weight, one.best_us) for one in workload.tasks)
        ran = sum(one.best_us is not None for one in workload.tasks)
        trials = sum(one.trials for one in workload.tasks)
        sums = "" if total is None else f"total {time_of(total)} ({ran} of {len(workload.tasks)} ran), "
        left = "" if math.isinf(workload.left_s) else f", {duration(max(0.0, workload.left_s))} left"
        pace = f"{trials / max(workload.elapsed_s, 1e-9):.1f} trials/s{left}"
        self._bar.update(
            self._line, description=name_of(task.problem), completed=workload.elapsed_s, said=f"{sums}{pace}"
        )
