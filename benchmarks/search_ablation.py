"""What each part of `ranked` brings: the same search on recorded spaces with one part taken out.

python benchmarks/search_ablation.py --datasets DIR --spaces NAME,… --pairs SRC>DST,… --seeds 20 --out FILE.json
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

BUDGETS = (25, 50, 100, 200)
WHOLE = "ranked"


def no_model() -> None:
    """Uniform chance instead of a model."""
    from kerntune.tuner.samplers import ranked

    ranked.FIRST = 10**9
    ranked.RankedRows._far_from_all = lambda self: self.rows.random()


def no_features() -> None:
    """Only the place of a value among its parameter's values: no logarithm, no divisibility."""
    from kerntune.tuner.cost_models import coordinates

    def places(parameter: Any, present: Any) -> list[Any]:
        values = np.array([float(parameter.values[index]) for index in present])
        return [np.argsort(np.argsort(values)) / (len(values) - 1)]

    coordinates._numeric = places


def no_divisibility() -> None:
    """How often two divides a value is not told."""
    from kerntune.tuner.cost_models import coordinates

    coordinates._twos = lambda values: np.zeros(len(values))


def no_scales() -> None:
    """Every coordinate counts alike."""
    from kerntune.tuner.cost_models import ranking

    ranking.fitted = lambda points, values, start: start


def no_feasibility() -> None:
    """What fails is forgotten."""
    from kerntune.tuner.cost_models.ranking import Ranking

    Ranking._odds = lambda self, results: 1.0


def no_trees() -> None:
    """Of failures only near ones tell."""
    from kerntune.tuner.cost_models.limits import Limits

    Limits.odds = lambda self: self._odds


def no_spread() -> None:
    """The first ten are drawn by chance, not far from each other."""
    from kerntune.tuner.samplers.ranked import RankedRows

    RankedRows._far_from_all = lambda self: self.rows.random()


def no_doubt() -> None:
    """A model is believed whatever its forecasts are worth."""
    from kerntune.tuner.samplers.ranked import RankedRows

    RankedRows._is_lost = lambda self: False


def no_cold_turns() -> None:
    """What is known of elsewhere has every turn."""
    from kerntune.tuner.samplers import ranked

    ranked.INFORMED_ALONE = 10**9


COLD: dict[str, Callable[[], None] | None] = {
    WHOLE: None,
    "no model": no_model,
    "no features": no_features,
    "no divisibility": no_divisibility,
    "no fitted scales": no_scales,
    "no feasibility": no_feasibility,
    "no trees of failures": no_trees,
    "no spread at the start": no_spread,
    "no doubt": no_doubt,
}
INFORMED: dict[str, Callable[[], None] | None] = {
    WHOLE: None,
    "no transfer": None,
    "no turns without it": no_cold_turns,
}


def curves(task: tuple[Path, str, str | None, str, int]) -> list[list[float]]:
    """Shares of the optimum at BUDGETS, by seed, of one variant on one space. Runs in a process of its own."""
    datasets, space, source, variant, seeds = task
    from kerntune.tuner import replaying
    from kerntune.tuner.backends.replay import read
    from kerntune.tuner.budget import Budget

    change = (COLD if source is None else INFORMED)[variant]
    if change is not None:
        change()
    known = [read(datasets / f"{source}.json")] if source and variant != "no transfer" else []
    recorded = read(datasets / f"{space}.json")
    report = replaying.replay(recorded, "ranked", Budget(BUDGETS[-1], 1e9), seeds, time.process_time, known)
    found = []
    for run in report.runs:
        best = [min((us for us in run.times_us[:at] if us is not None), default=math.inf) for at in BUDGETS]
        found.append([round(recorded.optimum_us / us, 4) for us in best])
    return found


def summary(by_space: list[list[list[float]]], whole: list[list[list[float]]]) -> dict[str, list[float]]:
    """Mean share at each budget, the difference from the whole, and its standard error over paired seeds."""
    here, there = np.mean(by_space, axis=0), np.mean(whole, axis=0)  # [seeds, budgets]
    differences = (here - there).T
    return {
        "share": [round(fmean(column), 4) for column in here.T],
        "less": [round(fmean(column), 4) for column in differences],
        "error": [round(stdev(column) / math.sqrt(len(column)), 4) for column in differences],
    }


def main() -> None:
    """Every variant on every space, and on every pair."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True)
    parser.add_argument("--spaces", default="")
    parser.add_argument("--pairs", default="")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    spaces = [(space, None) for space in given.spaces.split(",") if space]
    pairs = [tuple(reversed(pair.split(">"))) for pair in given.pairs.split(",") if pair]
    result: dict[str, Any] = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "budgets": BUDGETS}
    result["command"] = re.sub(r"--datasets \S+", "--datasets DATASETS", f"python {' '.join(sys.argv)}")
    for name, places, variants in (("cold", spaces, COLD), ("informed", pairs, INFORMED)):
        tasks = [
            (given.datasets, space, source, variant, given.seeds) for variant in variants for space, source in places
        ]
        with ProcessPoolExecutor(given.jobs, max_tasks_per_child=1) as pool:  # a change must not outlive its task
            found = dict(zip([task[1:4] for task in tasks], pool.map(curves, tasks), strict=True))
        by_variant = {v: [c for key, c in found.items() if key[2] == v] for v in variants}
        result[name] = {
            "over": [" knowing ".join(filter(None, place)) for place in places],
            "variants": {v: summary(each, by_variant[WHOLE]) for v, each in by_variant.items() if each},
        }
    given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
