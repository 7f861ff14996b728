"""What the analytic model is worth: how well it orders configs that were measured, and how much sooner `ranked` finds
good ones with it.

    python benchmarks/roofline.py --db URL… --seeds 20 --out benchmarks/results/NAME.json

Each study of the databases is searched again from nothing, among the configs that it tried: `without` estimates,
`with` them, and with estimates that lie: `shuffled`, and `inverted` (the best is called the worst). A share is the best
time of the study ÷ the best found so far; a config that failed is charged. Studies should be of `--sampler random
--no-transfer`: what another search did not try cannot be found here.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from kerntune.cache.sql import SqlStore
from kerntune.templates.catalogue import ops, templates_named
from kerntune.tuner.backends.recorded import Recorded
from kerntune.tuner.backends.stored import from_records
from kerntune.tuner.samplers import make_sampler
from numpy.typing import NDArray
from scipy.stats import spearmanr

PLACES = (1, 5, 10, 25, 50)
FIRST = (1, 10, 50)

Floats = NDArray[np.float64]
WAYS: dict[str, Callable[[Floats], Floats] | None] = {
    "without": None,
    "with": lambda estimates: estimates,
    "shuffled": np.random.default_rng(5).permutation,
    "inverted": lambda estimates: 1e6 / estimates,
}


@dataclass(frozen=True, eq=False)
class Study:
    """What one search of one template tried, and what the model says of it."""

    recorded: Recorded
    estimates_us: Floats


def read(urls: Sequence[str]) -> Iterator[Study]:
    """The studies of templates that have a model."""
    for url in urls:
        store = SqlStore.open(url)
        for best in (best for op in ops() for best in store.candidates(op)):
            (template,) = templates_named(best.key.problem.op, [best.template])
            searched = [record for record in store.records(best.key) if record.phase == "search"]
            recorded = from_records(best, searched)
            rows = range(recorded.feasible.total)
            estimates = template.estimates_us(recorded.feasible, best.key.problem, best.key.target, rows)
            if estimates is not None:
                yield Study(recorded, estimates)
        store.close()


def ordered(study: Study) -> dict[str, Any]:
    """How well the model orders what ran, before anything is measured."""
    ran = np.isfinite(study.recorded.times_us)
    times, estimates = study.recorded.times_us[ran], study.estimates_us[ran]
    by_estimate, by_time = times[np.argsort(estimates, kind="stable")], estimates[np.argsort(times, kind="stable")]
    misses = np.log(times / estimates)
    return {
        "ran": len(times),
        "best_us": round(float(times.min()), 2),
        "spearman": round(float(spearmanr(times, estimates)[0]), 3),
        "best_of_first": {str(n): round(float(times.min() / by_estimate[:n].min()), 3) for n in FIRST},
        "measured_over_estimated": round(float(np.exp(np.median(misses))), 2),
        "log_spread": round(float(misses.std()), 2),
        "ten_fastest_at_most": round(float(by_time[:10].max() / estimates.min()), 2),  # times the least estimate
        "estimated_above_twice": round(float((estimates > 2 * estimates.min()).mean()), 2),
    }


def searched(study: Study, told: Callable[[Floats], Floats] | None, seed: int) -> list[float]:
    """Shares at each place."""
    recorded = study.recorded
    estimate = None if told is None else partial(np.take, told(study.estimates_us))
    sampler = make_sampler("ranked", recorded.feasible, seed, (), estimate)
    best, shares = math.inf, []
    for _ in range(PLACES[-1]):
        row = sampler.ask()
        if row is not None:
            time_us = recorded.time_us(row)
            best = min(best, time_us or math.inf)
            sampler.tell(row, time_us)
        shares.append(round(recorded.optimum_us / best, 5))
    return [shares[place - 1] for place in PLACES]


def main() -> None:
    """Search every study in every way; write what came of it and show the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", nargs="+", required=True, metavar="URL")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    about = {"command": " ".join(["python", *sys.argv]), "date": datetime.now(UTC).isoformat(timespec="seconds")}
    report: dict[str, Any] = {**about, "places": PLACES, "studies": {}}
    for study in read(given.db):
        shares = {way: [searched(study, told, seed) for seed in range(given.seeds)] for way, told in WAYS.items()}
        report["studies"][study.recorded.name] = {"ordered": ordered(study), "shares": shares}
        told = report["studies"][study.recorded.name]["ordered"]
        firsts = "  ".join(f"{told['best_of_first'][str(n)]:.2f}" for n in FIRST)
        print(f"{study.recorded.name[:70]:70} {told['spearman']:5.2f}   {firsts}")
    given.out.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\n{'shares after trials':20}" + "".join(f"{place:7}" for place in PLACES))
    for way in WAYS:
        means = np.mean([np.mean(study["shares"][way], axis=0) for study in report["studies"].values()], axis=0)
        print(f"{way:20}" + "".join(f"{mean:7.3f}" for mean in means))


if __name__ == "__main__":
    main()
