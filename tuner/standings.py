"""Standings: how far the problems of a workload are, as the schedule sees them."""

from __future__ import annotations

from collections.abc import Sequence

from .schedule import Standing
from .tasks import Task

TRIAL_S = 0.2
"""What a trial takes, before one was made."""

BALANCE = {"cpu": 10, "gpu": 200}
"""Operations that take as long as moving a byte: only to guess which problem is large, before it has run."""


def standings(going: Sequence[Task], tasks: Sequence[Task]) -> list[Standing]:
    """One for each that is going. Where nothing ran, a problem is as large as its work, at the pace of all that ran."""
    pace = mean_or(1.0, [task.best_us / _work(task) for task in tasks if task.best_us is not None])
    usual_s = mean_or(TRIAL_S, [_trial_s(task) for task in tasks if task.trials])
    return [
        Standing(
            task.weight * (pace * _work(task) if task.best_us is None else task.best_us),
            sum(record.phase == "search" for record in task.records),
            _trial_s(task) if task.trials else usual_s,
            None if task.study is None else task.study.expected_gain(),
        )
        for task in going
    ]


def mean_or(usual: float, values: Sequence[float]) -> float:
    """The mean, or what is usual where there is no value."""
    return sum(values) / len(values) if values else usual


def _work(task: Task) -> float:
    """Operations, and bytes as operations."""
    balance = BALANCE[task.key.target.kind]
    return task.problem.dim("flops") + balance * task.problem.dim("bytes")


def _trial_s(task: Task) -> float:
    return max(1e-6, (task.search_s - task.opening_s) / task.trials)
