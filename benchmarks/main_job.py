"""The main job, measured: `tune gemm` beside the vendor library, and what there was to find in the space.

    python benchmarks/main_job.py cpu --out benchmarks/results/NAME.json
    python benchmarks/main_job.py gpu --out benchmarks/results/NAME.json

Each job is the command a user types, in a fresh process with a fresh database; ratios come from the interleaved
playoff of that one process. For the processor, `space` holds the times of random configs of the same space.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CPU_JOBS = [["gemm", "--shape", f"{n}x{n}x{n}", "--device", "cpu", "--trials", "60"] for n in (1024,)]
GPU_JOBS = [
    ["gemm", "--shape", "4096x4096x4096", "--dtype", "bf16", "--layout", "nt", "--trials", "60"],
    ["gemm", "--shape", "777x3333x2048", "--trials", "60"],
    ["gemm", "--shape", "777x3333x2048", "--layout", "nt", "--trials", "60"],
]


def run(job: list[str], threads: int | None, folder: Path) -> dict[str, Any]:
    """One command to its end, twice: measured, then from the cache."""
    env = {**os.environ, "KERNTUNE_DB": f"sqlite:///{folder / 'bench.db'}", "KERNTUNE_CACHE_DIR": str(folder)}
    if threads is not None:
        env["OMP_NUM_THREADS"] = str(threads)
    command = [sys.executable, "-m", "kerntune.tuner.cli", *job, "--json"]
    results = []
    for _ in range(2):
        start_s = time.monotonic()
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
        results.append(json.loads(done.stdout) | {"wall_s": round(time.monotonic() - start_s, 2)})
    first, again = results
    shown = (
        "config",
        "template",
        "median_us",
        "spread_us",
        "tflops",
        "baseline",
        "speedup",
        "trials",
        "space",
        "wall_s",
    )
    return {
        "command": "tune " + " ".join(job),
        "threads": threads,
        **{name: first[name] for name in shown},
        "again": {"cached": again["cached"], "wall_s": again["wall_s"]},
        "target": first["target"],
    }


def space_times(job: list[str], threads: int, trials: int, folder: Path) -> dict[str, Any]:
    """Times of random configs of the job's space, µs."""
    from kerntune.cache.sql import SqlStore
    from kerntune.templates.catalogue import op_named, templates

    random_job = [*job[: job.index("--trials")], "--trials", str(trials), "--sampler", "random", "--seed", "7"]
    run([*random_job, "--time", "600"], threads, folder)
    op = op_named("gemm")
    problem = op.problem("cpu", **op.parse_shape(job[job.index("--shape") + 1]))
    store = SqlStore.open(f"sqlite:///{folder / 'bench.db'}")
    (best, *_) = store.candidates("gemm", problem.digest)
    records = [r for r in store.records(best.key) if r.phase == "search" and r.measurement]
    store.close()
    (template,) = templates("gemm")[:1]
    seeds = template.seed_configs(template.feasible(problem, best.key.target), problem, best.key.target)
    times = sorted(r.measurement.median_us for r in records if r.config not in seeds)
    fastest_us = min(r.measurement.median_us for r in records)
    return {
        "random_configs": len(times),
        "best_us": fastest_us,
        "median_us": statistics.median(times),
        "p10_us": times[len(times) // 10],
        "worst_us": times[-1],
        "median_speed_over_best": fastest_us / statistics.median(times),
    }


def main() -> None:
    """Run the jobs and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("device", choices=["cpu", "gpu"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--space-trials", type=int, default=150)
    given = parser.parse_args()
    results = []
    jobs = (
        [(job, t) for job in CPU_JOBS for t in (2, 1)] if given.device == "cpu" else [(job, None) for job in GPU_JOBS]
    )
    for job, threads in jobs:
        with tempfile.TemporaryDirectory(prefix="kerntune-bench-") as folder:
            result = run(job, threads, Path(folder))
        if threads is not None:
            with tempfile.TemporaryDirectory(prefix="kerntune-bench-") as folder:
                result["space_times"] = space_times(job, threads, given.space_trials, Path(folder))
        ratio = result["speedup"]
        print(
            f"{result['command']} threads={threads}: {result['median_us']:.1f} µs, {ratio:.3f} × {result['baseline']}"
        )
        results.append(result)
    report = {
        "command": f"python benchmarks/main_job.py {given.device} --out benchmarks/results/{given.out.name}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": {"python": platform.python_version(), "system": platform.platform()},
        "results": results,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
