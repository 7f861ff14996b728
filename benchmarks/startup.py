"""How long a person waits: `import kerntune`, `tune --help`, and an answer from the cache, each in a fresh process.

    python benchmarks/startup.py --device cpu --out benchmarks/results/NAME.json

Wall clock with the interpreter's own start; `cached_s` is what the command says it took itself.
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

TUNE = [sys.executable, "-m", "kerntune.tuner.cli"]
REPEATS = 11


def walls(command: list[str], env: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Wall times of REPEATS runs after one that warms the disk, s, and what each wrote."""
    taken, written = [], []
    for turn in range(REPEATS + 1):
        start_s = time.perf_counter()
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        if turn:
            taken.append(round(time.perf_counter() - start_s, 3))
            written.append(done.stdout)
    return {"median_s": statistics.median(taken), "all_s": taken}, written


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    job = ["gemm", "--shape", "256x256x256", "--trials", "5", "--json"]
    if given.device == "cpu":
        job += ["--device", "cpu"]
    imported = "import time; t = time.perf_counter(); import kerntune; print(time.perf_counter() - t)"
    with tempfile.TemporaryDirectory(prefix="kerntune-bench-") as folder:
        env = {**os.environ, "KERNTUNE_DB": f"sqlite:///{folder}/bench.db", "KERNTUNE_CACHE_DIR": folder}
        first = json.loads(subprocess.run([*TUNE, *job], env=env, capture_output=True, text=True, check=True).stdout)
        _, import_s = walls([sys.executable, "-c", imported], env)
        help_walls, _ = walls([*TUNE, "--help"], env)
        cached_walls, answers = walls([*TUNE, *job], env)
    told = [json.loads(answer) for answer in answers]
    assert all(answer["cached"] and answer["config"] == first["config"] for answer in told)
    report = {
        "command": f"python benchmarks/startup.py --device {given.device} --out benchmarks/results/{given.out.name}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()},
        "device": first["target"]["device"],
        "import_kerntune": {"median_s": round(statistics.median(map(float, import_s)), 4)},
        "tune --help": help_walls,
        f"tune {' '.join(job)} (from the cache)": {**cached_walls, "cached_s": [answer["seconds"] for answer in told]},
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps({name: value for name, value in report.items() if name != "device"}, indent=1))


if __name__ == "__main__":
    main()
