"""What measuring costs and how far its answers can be trusted: throughput, repeatability, kill -9.

    python benchmarks/measurement.py throughput --device cuda --configs 500 --out benchmarks/results/NAME.json
    python benchmarks/measurement.py repeatability --device cuda --tunes 20 --configs 100 --out …
    python benchmarks/measurement.py kills --device cpu --instants 100 --out …

throughput: random configs of one gemm, compiled, checked and timed; a thread asks NVML how busy the GPU is.
repeatability: fresh tunes (new database, new processes) over the same configs; then the winner again in a new process.
kills: `tune` or its measuring child is killed at random instants; what was acknowledged must be in the database.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SHAPES = {"cuda": (4096, 4096, 4096), "cpu": (512, 512, 512)}
SMALL = (96, 80, 64)
UTILISATION_PERIOD_S = 0.2


def fields_of(device: str, shape: tuple[int, int, int]) -> dict[str, Any]:
    """The gemm that is tuned: bf16 nt on a GPU, fp32 on a processor."""
    more = {"dtype": "bf16", "layout": "nt"} if device.startswith("cuda") else {}
    return {**dict(zip("mnk", shape, strict=True)), **more}


def tune(given: argparse.Namespace, folder: Path, configs: int, heard: Any = None) -> Any:
    """One study over `configs` random configs into a database of its own; its Report."""
    from kerntune.tuner import tuning
    from kerntune.tuner.budget import Budget

    request = tuning.Request(
        "gemm",
        fields_of(given.device, SHAPES[given.device]),
        device=given.device,
        templates=tuple(given.template),
        budget=Budget(configs, 3600.0),
        sampler="random",
        db_url=f"sqlite:///{folder / 'bench.db'}",
    )
    return tuning.run(request, heard or tuning.Watch())


class Utilisation(threading.Thread):
    """Shares of NVML's sample periods in which a kernel ran, percent; empty without NVML."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.samples: list[tuple[float, int]] = []  # when, and the percentage
        self.ended = threading.Event()

    def run(self) -> None:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        while not self.ended.wait(UTILISATION_PERIOD_S):
            self.samples.append((time.monotonic(), pynvml.nvmlDeviceGetUtilizationRates(handle).gpu))


def throughput(given: argparse.Namespace) -> dict[str, Any]:
    """Configs per second from the first compile request to the last measurement of the search."""
    from kerntune.tuner.tuning import Watch

    started_s: list[float] = []
    ended_s: list[float] = []
    busy = Utilisation()
    if given.device != "cpu":
        busy.start()

    def heard(trial: Any) -> None:
        ended_s.append(time.monotonic())

    watch = Watch(started=lambda *_: started_s.append(time.monotonic()), trial=heard)
    with tempfile.TemporaryDirectory(prefix="kerntune-bench-") as name:
        report = tune(given, Path(name), given.configs, watch)
        records = all_records(Path(name))
    busy.ended.set()
    search_s = ended_s[-1] - started_s[0]
    searched = [record for record in records if record.phase == "search"]
    full = [r.measurement for r in searched if r.measurement and not getattr(r.measurement, "raced_out", False)]
    within = [percent for at_s, percent in busy.samples if ended_s[0] <= at_s <= ended_s[-1]]
    return {
        "configs": len(ended_s),
        "search_s": round(search_s, 2),
        "first_result_s": round(ended_s[0] - started_s[0], 2),
        "configs_per_s": round(len(ended_s) / search_s, 2),
        "configs_per_s_after_the_first": round((len(ended_s) - 1) / (ended_s[-1] - ended_s[0]), 2),
        "gpu_busy_percent": round(statistics.mean(within), 1) if within else None,
        "outcomes": Counter(getattr(record.outcome, "kind", "ok") for record in searched),
        "raced_out": sum(bool(r.measurement and getattr(r.measurement, "raced_out", False)) for r in searched),
        "fewest_samples_of_the_others": min((len(m.samples_us) for m in full), default=0),
        "target": report.answer.target.as_dict(),
    }


def all_records(folder: Path) -> list[Any]:
    """Every record of a folder's database."""
    from kerntune.cache.sql import SqlStore

    store = SqlStore.open(f"sqlite:///{folder / 'bench.db'}")
    try:
        keys = {best.key.problem.digest: best.key for best in store.candidates("gemm")}
        return [record for key in keys.values() for record in store.records(key)]
    finally:
        store.close()


def repeatability(given: argparse.Namespace) -> dict[str, Any]:
    """How often fresh tunes name the same winner, and whether a new process finds its time again."""
    winners, again = [], []
    for turn in range(given.tunes):
        with tempfile.TemporaryDirectory(prefix="kerntune-bench-") as name:
            report = tune(given, Path(name), given.configs)
            answer = report.answer
            winners.append(
                {"digest": answer.config.digest, "median_us": answer.median_us, "seconds": report.seconds}
                | playoff_of(Path(name), report.record)
            )
            print(turn, winners[-1], file=sys.stderr, flush=True)
            if turn < given.benched:
                again.append(benched(given, Path(name), answer))
    counts = Counter(winner["digest"] for winner in winners)
    (most, times) = counts.most_common(1)[0]
    differences = [abs(new - old["median_us"]) / old["median_us"] for new, old in zip(again, winners, strict=False)]
    return {
        "tunes": given.tunes,
        "configs": given.configs,
        "same_winner": times / given.tunes,
        "winners": counts,
        "winner": most,
        "reproduced_within": {
            "median": round(statistics.median(differences), 4),
            "largest": round(max(differences), 4),
        },
        "runs": winners,
        "benched_us": again,
    }


def playoff_of(folder: Path, winner: Any) -> dict[str, Any]:
    """What the playoff of one tune saw: whoever tied with the winner, and each finalist's median of every round, µs."""
    rounds = winner.verdict.rounds
    finalists = {}
    for record in all_records(folder):
        if record.baseline is not None:
            samples = record.measurement.samples_us
            size = len(samples) // rounds
            blocks = [samples[n * size : (n + 1) * size] for n in range(rounds)]
            finalists[record.config.digest] = [round(statistics.median(block), 2) for block in blocks]
    return {"confidence": winner.verdict.confidence, "tied_with": winner.verdict.tied_with, "finalists_us": finalists}


def benched(given: argparse.Namespace, folder: Path, answer: Any) -> float:
    """The winner's time in a process of its own: `tune bench`."""
    fields = fields_of(given.device, SHAPES[given.device])
    shape = "x".join(str(fields.pop(dim)) for dim in "mnk")
    flags = [word for name, value in fields.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "kerntune.tuner.cli", "bench", "gemm", "--shape", shape, *flags]
    command += ["--device", given.device, "--config", json.dumps(dict(answer.config)), "--template", answer.template]
    command += ["--db", f"sqlite:///{folder / 'bench.db'}", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(done.stdout)["median_us"])


STUDY = """
import sys
from kerntune.tuner import tuning
from kerntune.tuner.budget import Budget
def told(trial):
    print(trial.record.config.digest, flush=True)
fields = dict(zip("mnk", map(int, sys.argv[3:6])))
request = tuning.Request("gemm", fields, device=sys.argv[1], budget=Budget(100_000, 3600), sampler="random",
                         seed=int(sys.argv[6]), db_url=sys.argv[2], force=True)
tuning.run(request, tuning.Watch(trial=told))
"""


def kills(given: argparse.Namespace) -> dict[str, Any]:
    """kill -9 of `tune`, or of the child that measures, at random instants of a running study."""
    from kerntune.spaces.errors import StoreError

    chance = random.Random(1)
    lost = survivors = unopened = acknowledged = 0
    with tempfile.TemporaryDirectory(prefix="kerntune-bench-") as name:
        url = f"sqlite:///{Path(name) / 'bench.db'}"
        for turn in range(given.instants):
            command = [sys.executable, "-c", STUDY, given.device, url, *map(str, SMALL), str(turn)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as study:
                assert study.stdout is not None
                told = [study.stdout.readline().strip()]
                time.sleep(chance.uniform(0, 0.6))
                children = descendants(study.pid)
                if chance.random() < 0.5 and children:  # the child first: the study goes on, then ends the same way
                    with suppress(ProcessLookupError):  # a compiler may have ended by itself
                        os.kill(chance.choice(children), signal.SIGKILL)
                    time.sleep(chance.uniform(0, 0.6))
                    children = descendants(study.pid)
                study.kill()
                told += [line.strip() for line in study.stdout]
            acknowledged += len(told)
            survivors += len(alive(children))
            try:
                stored = {record.config.digest for record in all_records(Path(name))}
            except StoreError as error:  # the database did not open, or not as it was left
                print(error, file=sys.stderr)
                unopened += 1
                continue
            lost += len(set(filter(None, told)) - stored)
    return {
        "instants": given.instants,
        "acknowledged": acknowledged,
        "lost": lost,
        "databases_that_did_not_open": unopened,
        "children_that_survived": survivors,
        "gpu_memory_left_taken_mib": None if given.device == "cpu" else taken_mib(),
    }


def descendants(pid: int) -> list[int]:
    """Children of a process, and theirs."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    children = [int(word) for word in listed.stdout.split()]
    return children + [deeper for child in children for deeper in descendants(child)]


def alive(pids: list[int]) -> list[int]:
    """Those that are still there two seconds later, which is four of the child's looks at its parent."""
    time.sleep(2)
    return [pid for pid in pids if _state(pid) not in ("", "Z")]


def _state(pid: int) -> str:
    """R, S, D … of /proc; Z for one that has ended and waits to be reaped, nothing for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def taken_mib() -> float:
    """Memory in use on the first GPU, MiB."""
    import pynvml

    pynvml.nvmlInit()
    return round(pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(0)).used / 2**20, 1)


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["throughput", "repeatability", "kills"])
    parser.add_argument("--device", choices=["cpu", "cuda"], required=True)
    parser.add_argument("--template", action="append", default=[])
    parser.add_argument("--configs", type=int, default=500)
    parser.add_argument("--tunes", type=int, default=20)
    parser.add_argument("--benched", type=int, default=5, help="winners that are timed again in a new process")
    parser.add_argument("--instants", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    found = {"throughput": throughput, "repeatability": repeatability, "kills": kills}[given.what](given)
    report = {
        "command": "python benchmarks/measurement.py " + " ".join(sys.argv[1:]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()},
        given.what: found,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
