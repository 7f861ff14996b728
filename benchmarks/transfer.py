"""How much sooner a search finds good configs where near problems are known: each study of some databases is left out
in turn, and searched again, among the configs that it tried: `bare` from the template's default alone, `cold` from its
seeds, `known` from the other studies.

    python benchmarks/transfer.py --db URL… --seeds 20 --out benchmarks/results/NAME.json

A share is the best time of the study ÷ the best time found so far. Trials are counted as `tune` makes them, seeds and
winners too. Studies should be of `--sampler random --no-transfer`: what another search did not try is not found here.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from kerntune.cache.memory import MemoryStore
from kerntune.cache.records import Record, RecordKey
from kerntune.cache.sql import SqlStore
from kerntune.templates.catalogue import ops, templates_named
from kerntune.templates.template import KernelTemplate
from kerntune.tuner import transfer
from kerntune.tuner.lanes import Lane, picks
from kerntune.tuner.samplers import make_sampler

PLACES = (1, 2, 3, 5, 10, 25, 50)
WAYS = ("bare", "cold", "known")
NOTHING = transfer.NOTHING


@dataclass(frozen=True)
class Study:
    """What one search of one template tried."""

    key: RecordKey
    template: KernelTemplate
    records: Sequence[Record]

    @property
    def name(self) -> str:
        problem = self.key.problem
        return f"{self.template.name} {ops()[problem.op].shape_of(problem)} {problem['dtype']} {self.key.target.name}"


def read(urls: Sequence[str]) -> Iterator[Study]:
    """The studies of the templates as they are now."""
    for url in urls:
        store = SqlStore.open(url)
        for best in (best for op in ops() for best in store.candidates(op)):
            (template,) = templates_named(best.key.problem.op, [best.template])
            if template.digest == best.template_digest:
                tried = [record for record in store.records(best.key) if record.template_digest == template.digest]
                yield Study(best.key, template, tried)
        store.close()


def compare(study: Study, others: Sequence[Study], seeds: int, sampler: str) -> dict[str, Any]:
    """Shares by seed at each place, in each way to begin."""
    searched = [record for record in study.records if record.phase == "search"]
    times = {record.config: record.measurement.median_us if record.measurement else None for record in searched}
    feasible, rows = transfer.listed(study.template, list(times))
    times_us = dict(zip(rows.tolist(), times.values(), strict=True))
    store = MemoryStore()
    for record in (record for other in others for record in other.records):
        store.add(record)
    started_s = time.perf_counter()
    start = transfer.starts(store, study.key, {study.template: feasible})[study.template]
    spent_s = time.perf_counter() - started_s
    told: dict[str, Any] = {"sources": [rows.source for rows in start.known], "start_ms": round(1e3 * spent_s, 1)}
    place = study.key.problem, study.key.target
    seeded, estimate = tuple(study.template.seed_configs(feasible, *place)), study.template.estimate(feasible, *place)
    for name, own, begun in (("bare", seeded[:1], NOTHING), ("cold", seeded, NOTHING), ("known", seeded, start)):
        told[name] = []
        for seed in range(seeds):
            made = make_sampler(sampler, feasible, seed, begun.known, estimate)
            told[name].append(shares(Lane(study.template, feasible, made, own, None, begun), times_us))
    return told


def shares(lane: Lane, times_us: dict[int, float | None]) -> list[float]:
    """Best of all ÷ best so far, at each place."""
    best_us = math.inf
    curve = []
    for pick, _ in zip(picks([lane]), range(max(PLACES)), strict=False):
        us = times_us[pick.row]
        lane.sampler.tell(pick.row, us)
        best_us = min(best_us, math.inf if us is None else us)
        curve.append(min(us for us in times_us.values() if us is not None) / best_us)
    return [round(curve[min(place, len(curve)) - 1], 4) for place in PLACES]


def table(report: dict[str, Any]) -> str:
    """A line for each study and way, and the means; standard errors are over studies, which differ more than seeds."""
    lines = [f"{'after':>52}" + "".join(f"{place:>7}" for place in PLACES)]
    for name, told in report["studies"].items():
        for mode in WAYS:
            means = np.mean(told[mode], axis=0)
            lines.append(f"{name[:44] if mode == WAYS[0] else '':44} {mode:>7}" + "".join(f"{x:7.3f}" for x in means))
    means = {mode: np.mean([told[mode] for told in report["studies"].values()], axis=1) for mode in WAYS}
    for mode in WAYS:
        lines.append(f"{'mean of all':44} {mode:>7}" + "".join(f"{x:7.3f}" for x in means[mode].mean(0)))
    gain = means["known"] - means["cold"]
    errors = 2 * gain.std(axis=0, ddof=1) / math.sqrt(len(gain))
    lines.append(f"{'two standard errors of known - cold':52}" + "".join(f"{x:7.3f}" for x in errors))
    return "\n".join(lines)


def main() -> None:
    """Compare every study of the databases with the others of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", nargs="+", required=True, metavar="URL")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--sampler", default="ranked")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    studies = list(read(given.db))
    about = {"command": " ".join(["python", *sys.argv]), "date": datetime.now(UTC).isoformat(timespec="seconds")}
    report: dict[str, Any] = {**about, "sampler": given.sampler, "seeds": given.seeds, "places": PLACES}
    report["studies"] = {
        study.name: compare(study, [other for other in studies if other is not study], given.seeds, given.sampler)
        for study in studies
    }
    if given.out:
        given.out.write_text(json.dumps(report, indent=1) + "\n")
    print(table(report))


if __name__ == "__main__":
    main()
