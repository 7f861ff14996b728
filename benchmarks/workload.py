"""Many problems under one budget: the scheduler against round robin and splits made beforehand.

    python benchmarks/workload.py --datasets DIR [--seeds 20] [--out benchmarks/results/NAME.json]

A workload is eight recorded spaces with weights 1, 1/2, … 1/8 in an order by chance (Zipf), one for each seed; in
`even` workloads times are divided by each space's median, so that only weights tell problems apart. Each space is
searched once by `ranked`, at most 300 trials: what it finds does not depend on when its trials are made. The budget is
in recorded seconds (compile and run), a switch between problems costs 1 s of them. A problem that was never tried
counts with its median. What is told: total weighted time ÷ the least that any schedule could reach, less 1.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

SPACES = (
    *("gemm-clblast__rtx3090", "gemm-clblast__rtx2080ti", "gemm-clblast__rtxtitan", "convolution-milo__a100"),
    *("convolution-milo__a4000", "convolution-bat__rtx3090", "convolution-bat__rtx2080ti", "pnpoly-bat__rtx3090"),
    *("pnpoly-bat__rtx2080ti", "convolution-milo__a6000"),
)
PROBLEMS, TRIALS, SWITCH_S = 8, 300, 1.0
BUDGETS_S = (25, 50, 100, 200, 400, 800, 1600)
ROUND_TRIALS = 12  # of round robin: best of 4, 8, 12 and 24 over these budgets


@dataclass(frozen=True)
class Search:
    """One sampler's search of one space, trial by trial."""

    best: list[float]  # ms; the space's median while nothing better was found
    ends_s: list[float]  # with 0 before the first
    expected: list[float | None]
    median: float


def searched(datasets: Path, name: str, seed: int) -> Search:
    """Search a space once."""
    from kerntune.tuner.backends.replay import read
    from kerntune.tuner.samplers import make_sampler
    from kerntune.tuner.samplers.sampler import expected_gain

    recorded = read(datasets / f"{name}.json")
    sampler = make_sampler("ranked", recorded.feasible, seed)
    median = float(np.nanmedian(recorded.times_us))
    best, ends, expected = [median], [0.0], [None]
    while len(best) <= TRIALS and (row := sampler.ask()) is not None:
        time_us = recorded.time_us(row)
        sampler.tell(row, time_us)
        best.append(min(best[-1], math.inf if time_us is None else time_us))
        ends.append(ends[-1] + float(recorded.costs_s[row]))
        expected.append(expected_gain(sampler))
    return Search(best, ends, expected, median)


class Task:
    """A problem of a workload, and how far it is."""

    def __init__(self, search: Search, weight: float) -> None:
        self.search, self.weight, self.trials, self.stale = search, weight, 0, 0

    @property
    def is_done(self) -> bool:
        return self.trials + 1 >= len(self.search.best)

    @property
    def weighted(self) -> float:
        return self.weight * self.search.best[self.trials]

    @property
    def spent_s(self) -> float:
        return self.search.ends_s[self.trials]

    def go_on(self, trials: float, left_s: float) -> float:
        """So many trials more, or as many as fit; the seconds that are left."""
        left_s, begun_s = left_s - SWITCH_S, self.spent_s
        end = min(self.trials + trials, len(self.search.best) - 1)
        while self.trials < end:
            if self.search.ends_s[self.trials + 1] - begun_s > left_s:
                return 0.0
            better = self.search.best[self.trials + 1] < self.search.best[self.trials] * 0.995
            self.trials, self.stale = self.trials + 1, 0 if better else self.stale + 1
        return left_s - (self.spent_s - begun_s)


def scheduled(tasks: Sequence[Task], left_s: float) -> None:
    """As `tune workload` does it."""
    from kerntune.tuner.schedule import PATIENCE, Standing, next_slice

    usual_s = float(np.mean([task.search.ends_s[-1] / (len(task.search.best) - 1) for task in tasks]))
    while left_s > 0 and (going := [t for t in tasks if not t.is_done and t.stale < PATIENCE]):
        standings = [
            Standing(
                task.weighted,
                task.trials,
                task.spent_s / task.trials if task.trials else usual_s,
                task.search.expected[task.trials],
            )
            for task in going
        ]
        planned = next_slice(standings, SWITCH_S, left_s)
        left_s = going[planned.place].go_on(planned.trials, left_s)


def round_robin(tasks: Sequence[Task], left_s: float) -> None:
    """Slices of the same length in turn."""
    while left_s > 0 and (going := [task for task in tasks if not task.is_done]):
        for task in going:
            if left_s > 0:
                left_s = task.go_on(ROUND_TRIALS, left_s)


def split_by(share: Callable[[Task], float]) -> Callable[[Sequence[Task], float], None]:
    """One problem after another, each with its share of the budget."""

    def split(tasks: Sequence[Task], left_s: float) -> None:
        shares, kept_s = [share(task) for task in tasks], 0.0
        for task, own in zip(tasks, shares, strict=True):  # what one leaves, the next has
            kept_s = task.go_on(math.inf, left_s * own / sum(shares) + kept_s)

    return split


SCHEDULES: dict[str, Callable[[Sequence[Task], float], None]] = {
    "scheduled": scheduled,
    "round robin": round_robin,
    "equal split": split_by(lambda task: 1.0),
    "split by weight": split_by(lambda task: task.weight),
    "split by weighted time": split_by(lambda task: task.weighted),
}


def excess(schedule: str, searches: dict[str, Search], seed: int, even: bool, budget_s: float) -> float:
    """Total weighted time over the least, less 1; every schedule begins with the largest weighted time."""
    rng = np.random.default_rng(seed)
    weights = 1 / (1 + rng.permutation(PROBLEMS))
    chosen = [searches[name] for name in rng.choice(sorted(searches), PROBLEMS, replace=False)]
    tasks = [Task(one, float(w) / (one.median if even else 1.0)) for one, w in zip(chosen, weights, strict=True)]
    tasks.sort(key=lambda task: -task.weighted)
    SCHEDULES[schedule](tasks, budget_s)
    return sum(task.weighted for task in tasks) / sum(task.weight * task.search.best[-1] for task in tasks) - 1


def compared(searches: dict[int, dict[str, Search]], even: bool) -> dict[str, Any]:
    """Means over the seeds; beside each rival, by how much more it is over the least, with the standard error."""
    told: dict[str, Any] = {}
    for budget_s in BUDGETS_S:
        found = {name: [excess(name, of, seed, even, budget_s) for seed, of in searches.items()] for name in SCHEDULES}
        ours = np.array(found["scheduled"])
        for name, values in found.items():
            more = np.array(values) - ours
            error = float(more.std(ddof=1) / math.sqrt(len(more)))
            row = {"mean": round(float(np.mean(values)), 5), "more": round(float(more.mean()), 5)}
            told.setdefault(name, {})[f"{budget_s}"] = {**row, "standard_error": round(error, 5)}
    return told


def main() -> None:
    """Search every space once by seed, then schedule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path)
    wanted = parser.parse_args()
    pairs = [(name, seed) for seed in range(wanted.seeds) for name in SPACES]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        made = pool.map(searched, *zip(*((wanted.datasets, *pair) for pair in pairs), strict=True))
        by_pair = dict(zip(pairs, made, strict=True))
    searches = {seed: {name: by_pair[name, seed] for name in SPACES} for seed in range(wanted.seeds)}
    found = {kind: compared(searches, kind == "even") for kind in ("as recorded", "even")}
    for kind, table in found.items():
        print(f"{kind:24}" + "".join(f"{budget_s:>8} s" for budget_s in BUDGETS_S))
        for name, row in table.items():
            print(f"{name:24}" + "".join(f"{cell['mean']:>10.4f}" for cell in row.values()))
    if wanted.out:
        about = {
            "command": " ".join(["python", *sys.argv]),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": platform.machine(),
        }
        method = {"spaces": SPACES, "problems": PROBLEMS, "seeds": wanted.seeds, "switch_s": SWITCH_S, "trials": TRIALS}
        wanted.out.write_text(json.dumps({**about, **method, "found": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
