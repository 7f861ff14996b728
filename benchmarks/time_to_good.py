"""How soon a search has a good config: seconds from the first compile request until 95 % of the best that was found.

    python benchmarks/time_to_good.py --device cuda --shape 4096x4096x4096 --warm 1024x1024x1024 --seeds 3
        [--known DB…] --out benchmarks/results/NAME.json

One process, made warm by a short study of another shape. Each seed searches cold, into an empty database; with
`--known` once more, into one that holds what those databases know of other shapes. Best: the fastest median of any of
these searches, so that one that misses it is seen to. Times are of the search, not of the playoff.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

GOOD = 0.95
PLACES_S = (1, 2, 3, 5, 10, 20)


@dataclass(frozen=True, slots=True)
class Search:
    """One study: when each new best was known, seconds from the first compile request, and its µs."""

    known: bool
    seed: int
    bests: tuple[tuple[float, float], ...]
    trials: int

    def best_us(self, at_s: float) -> float:
        return min((us for when_s, us in self.bests if when_s <= at_s), default=float("inf"))

    def good_after_s(self, best_us: float) -> float | None:
        """None where it never was."""
        return next((when_s for when_s, us in self.bests if best_us / us >= GOOD), None)


def search(given: argparse.Namespace, host: Any, shape: str, database: Path, seed: int, trials: int) -> Search:
    """One study of the shape; its log is of the search alone."""
    from kerntune.tuner import tuning
    from kerntune.tuner.budget import Budget

    started_s: list[float] = []
    bests: list[tuple[float, float]] = []
    tried: list[Any] = []

    def heard(trial: Any) -> None:
        tried.append(trial)
        measurement = trial.record.measurement
        if trial.best is trial.record and measurement is not None:
            bests.append((round(time.monotonic() - started_s[0], 3), measurement.median_us))

    more = {"dtype": "bf16", "layout": "nt"} if given.device.startswith("cuda") else {}
    fields = {**dict(zip("mnk", map(int, shape.split("x")), strict=True)), **more}
    request = tuning.Request(
        "gemm",
        fields,
        device=given.device,
        templates=tuple(given.template),
        budget=Budget(trials, given.time),
        seed=seed,
        db_url=f"sqlite:///{database}",
    )
    watch = tuning.Watch(started=lambda *_: started_s.append(time.monotonic()), trial=heard)
    tuning.run(request, watch, host)
    return Search(False, seed, tuple(bests), len(tried))


def neighbours(databases: Sequence[Path], but: str, into: Path) -> int:
    """Copy what the databases know of other shapes; how many records."""
    from kerntune.cache.sql import SqlStore

    store, copied = SqlStore.open(f"sqlite:///{into}"), 0
    dims = dict(zip("mnk", map(int, but.split("x")), strict=True))
    for path in databases:
        source = SqlStore.open(f"sqlite:///{path}")
        for key in {best.key.digest: best.key for best in source.candidates("gemm")}.values():
            if any(key.problem.dim(letter) != size for letter, size in dims.items()):
                for record in source.records(key):
                    store.add(record)
                    copied += 1
        source.close()
    store.close()
    return copied


def report_of(searches: Sequence[Search]) -> dict[str, Any]:
    """Both ways, beside the best of all."""
    best_us = min(us for one in searches for _, us in one.bests)
    ways = {"cold": [one for one in searches if not one.known], "known": [one for one in searches if one.known]}
    return {
        "best_us": best_us,
        **{
            way: {
                "good_after_s": [one.good_after_s(best_us) for one in chosen],
                "share_by_s": {
                    at: round(statistics.median(best_us / one.best_us(at) for one in chosen), 4) for at in PLACES_S
                },
                "searches": [{"seed": one.seed, "trials": one.trials, "bests": one.bests} for one in chosen],
            }
            for way, chosen in ways.items()
            if chosen
        },
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shape", default="4096x4096x4096")
    parser.add_argument("--warm", default="1024x1024x1024")
    parser.add_argument("--template", action="append", default=[])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--time", type=float, default=60.0)
    parser.add_argument("--known", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    from kerntune.tuner import settings, wiring

    searches = []
    host = wiring.open_host(given.device, settings.read())
    with closing(host), tempfile.TemporaryDirectory(prefix="kerntune-bench-") as name:
        folder = Path(name)
        search(given, host, given.warm, folder / "warm.db", 0, 20)
        for seed in range(given.seeds):
            searches.append(search(given, host, given.shape, folder / f"cold{seed}.db", seed, given.trials))
            if given.known:
                database = folder / f"known{seed}.db"
                copied = neighbours(given.known, given.shape, database)
                found = search(given, host, given.shape, database, seed, given.trials)
                searches.append(Search(True, seed, found.bests, found.trials))
                print(f"seed {seed}: {copied} records of other shapes known", file=sys.stderr)
    report = {
        "command": " ".join(["python", *sys.argv]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": {"python": platform.python_version(), "cores": len(os.sched_getaffinity(0))},
        "time_to_good": report_of(searches),
    }
    given.out.write_text(json.dumps(report) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
