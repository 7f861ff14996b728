"""Which search finds good configs soonest: our samplers and kernel_tuner's strategies on recorded spaces.

    python benchmarks/search.py run --datasets DIR --spaces NAME,… --seeds 20 --out benchmarks/results/NAME.json
        [--samplers a,b] [--peer-python PYTHON --peers a,b] [--shuffled] [--knowing SRC>DST,…] [--again]
    python benchmarks/search.py table FILE.json…
    python benchmarks/search.py picture FILE.json OUT.html

A share is the optimum of the space ÷ the best time found so far. A trial is one feasible config, the first time that it
is asked for; one that failed is charged like any other. One loop counts for all: it asks our samplers, and goes through
the configs that a peer evaluated. A search that ends early keeps its last best. A peer is told that it has `--trials`
evaluations, or N with NAME@N. `--shuffled` permutes the outcomes of a space, so that nobody may beat random.
`--knowing` gives the records of SRC to our samplers that can start from them; A+B>DST gives two.
What stands in --out is not run again, unless `--again` is given.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import packages_distributions, version
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import search_peers
import search_report

if TYPE_CHECKING:
    from kerntune.tuner.backends.recorded import Recorded

PLACES = (5, 10, 25, 50, 75, 100, 150, 200)
PEER = "kernel_tuner."
PEERS = ("simulated_annealing", "genetic_algorithm", "greedy_ils", "random_sample")
CHUNK = 5  # seeds of one process's task


@dataclass(frozen=True, slots=True)
class Task:
    """Some seeds of one search on one space."""

    datasets: Path
    space: str
    known: tuple[str, ...]
    sampler: str  # a peer's begins with PEER
    seeds: tuple[int, ...]
    trials: int
    shuffled: bool
    peer_python: str

    @property
    def label(self) -> str:
        """Space of the results: what is known of others is part of it."""
        return f"{self.space} knowing {'+'.join(self.known)}" if self.known else self.space


# --- counting


def counted(
    ask: Callable[[], int | None],
    tell: Callable[[int, float | None], None],
    times_us: Sequence[float],  # by row; NaN where it failed
    trials: int,
    repeats: float = math.inf,  # rows in a row that were asked for before, at which a search ends
) -> list[float | None]:
    """Times by trial, None for a failure: a row asked for again is answered again and not charged."""
    tried: dict[int, float | None] = {}
    again = 0
    while len(tried) < trials and again < repeats and (row := ask()) is not None:
        again = again + 1 if row in tried else 0
        tried.setdefault(row, None if math.isnan(times_us[row]) else float(times_us[row]))
        tell(row, tried[row])
    return list(tried.values())


def shares(times_us: Sequence[float | None], optimum_us: float, at: Sequence[int]) -> list[float]:
    """Optimum ÷ best of the first trials, at each place; 0 where nothing ran yet."""
    ran = ([math.inf, *(time for time in times_us[:trials] if time is not None)] for trials in at)
    return [round(optimum_us / min(times), 5) for times in ran]


def places(trials: int) -> list[int]:
    """Trials at which shares are kept, the last among them."""
    return [*(at for at in PLACES if at < trials), trials]


def missing(runs: Mapping[str, Any], label: str, sampler: str, seeds: int) -> list[int]:
    """Seeds that are not there yet."""
    there = runs.get(label, {}).get(sampler, {}).get("shares", {})
    return [seed for seed in range(seeds) if str(seed) not in there]


def merge(runs: dict[str, Any], label: str, sampler: str, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Put the seeds of a task beside those that are there: {"shares": {seed: …}, "trials": …, "sampler_ms": …}."""
    stored = runs.setdefault(label, {}).setdefault(sampler, {})
    for field, by_seed in found.items():
        both = {**stored.get(field, {}), **by_seed}
        stored[field] = {seed: both[seed] for seed in sorted(both, key=int)}


# --- in a process of the pool


def search(task: Task) -> dict[str, Any]:
    """What came of a task, by field and seed, and of which space."""
    import numpy as np
    from kerntune.tuner.backends.replay import read

    recorded = read(task.datasets / f"{task.space}.json")
    if task.shuffled:  # failures too: they tell where good configs are
        recorded = replace(recorded, times_us=np.random.default_rng(0).permutation(recorded.times_us))
    peer = task.sampler.startswith(PEER)
    tool, found = of_peer(task, recorded) if peer else (None, of_ours(task, recorded))
    told: dict[str, dict[str, Any]] = {"shares": {}, "trials": {}, "sampler_ms": {}}
    for seed, (times_us, sampler_ms) in zip(task.seeds, found, strict=True):
        told["shares"][str(seed)] = shares(times_us, recorded.optimum_us, places(task.trials))
        told["trials"][str(seed)] = len(times_us)
        if sampler_ms is not None:
            told["sampler_ms"][str(seed)] = round(sampler_ms, 3)
    failed = int(np.isnan(recorded.times_us).sum())
    space = {"configs": recorded.feasible.total, "failed": failed, "optimum_us": round(recorded.optimum_us, 3)}
    return {"found": {field: by_seed for field, by_seed in told.items() if by_seed}, "space": space, "tool": tool}


def of_ours(task: Task, recorded: Recorded) -> Iterator[tuple[list[float | None], float | None]]:
    """Times by trial, and the sampler's own CPU time per trial, for each seed."""
    from kerntune.tuner.backends.replay import read
    from kerntune.tuner.replaying import REPEATS, known_rows
    from kerntune.tuner.samplers import make_sampler

    known = [known_rows(read(task.datasets / f"{name}.json")) for name in task.known]
    for seed in task.seeds:
        started_s = time.process_time()
        sampler = make_sampler(task.sampler, recorded.feasible, seed, known)
        times = counted(sampler.ask, sampler.tell, recorded.times_us.tolist(), task.trials, REPEATS)
        yield times, 1e3 * (time.process_time() - started_s) / max(1, len(times))


def of_peer(task: Task, recorded: Recorded) -> tuple[str, list[tuple[list[float | None], float | None]]]:
    """kernel_tuner's version, and times by trial of each seed. Raises: PeerFailed."""
    from kerntune.tuner.backends.listed import ListedSpace

    header = json.loads((task.datasets / f"{task.space}.json").read_text())
    parameters = {parameter["name"]: parameter["values"] for parameter in header["parameters"]}
    strategy, _, evaluations = task.sampler.removeprefix(PEER).partition("@")
    times_us = recorded.times_us.tolist()
    asked = {
        "parameters": parameters,
        "constraints": None if isinstance(recorded.feasible, ListedSpace) else header["constraints"],
        "rows": [[config[name] for name in parameters] for config in recorded.feasible],
        "times_us": [None if math.isnan(time_us) else time_us for time_us in times_us],
        "strategy": strategy,
        "max_fevals": int(evaluations or task.trials),
        "seeds": task.seeds,
    }
    tool, tried = search_peers.ask(task.peer_python, asked)
    rows = [iter(each) for each in tried]
    return tool, [(counted(lambda it=it: next(it, None), _deaf, times_us, task.trials), None) for it in rows]


def _deaf(row: int, time_us: float | None) -> None:
    """A peer was told when it asked."""


# --- commands


def run(given: argparse.Namespace) -> None:
    """Search what is not in the file yet; it is written after every task, so that little is lost."""
    from kerntune.tuner.samplers import SAMPLERS, learns

    report: dict[str, Any] = {"trials": given.trials, "shuffled": given.shuffled, "places": places(given.trials)}
    report |= {"made": [], "spaces": {}, "runs": {}}
    if given.out.exists():
        stored = json.loads(given.out.read_text())
        if any(stored[field] != report[field] for field in ("trials", "shuffled")):
            sys.exit(f"{given.out} was made with other --trials or --shuffled: name another file (--out).")
        report = stored
    ours = given.samplers or sorted(SAMPLERS.keys() - {"exhaustive"})
    peers = [PEER + name for name in given.peers or PEERS] if given.peer_python else []
    searches = [(space, (), sampler) for space in given.spaces for sampler in [*ours, *peers]]
    for pair in given.knowing:
        sources, _, space = pair.partition(">")
        searches += [(space, tuple(sources.split("+")), sampler) for sampler in ours if learns(sampler)]
    tasks: list[Task] = []
    for space, known, sampler in searches:
        task = Task(given.datasets, space, known, sampler, (), given.trials, given.shuffled, given.peer_python)
        if given.again:
            report["runs"].get(task.label, {}).pop(sampler, None)
        seeds = missing(report["runs"], task.label, sampler, given.seeds)
        tasks += [replace(task, seeds=tuple(seeds[at : at + CHUNK])) for at in range(0, len(seeds), CHUNK)]
    if not tasks:
        return
    report["made"].append(
        {"command": command(given), "date": datetime.now(UTC).isoformat(timespec="seconds"), "host": host()}
    )
    given.out.parent.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"  # before a process imports numpy or xgboost: they share the cores
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        waiting = {pool.submit(search, task): task for task in tasks}
        for number, done in enumerate(as_completed(waiting), 1):
            task = waiting[done]
            said = f"{number}/{len(tasks)} {task.label} {task.sampler} seeds {task.seeds[0]}-{task.seeds[-1]}"
            try:
                told = done.result()
            except search_peers.PeerFailed as error:
                print(f"{said}: {error}", file=sys.stderr)
                continue
            print(said, file=sys.stderr)
            report["spaces"][task.space] = told["space"]
            if told["tool"]:
                report["made"][-1]["host"]["kernel_tuner"] = told["tool"]
            merge(report["runs"], task.label, task.sampler, told["found"])
            write(given.out, report)


def write(path: Path, report: Mapping[str, Any]) -> None:
    """Lists of numbers on one line each. The file is whole at any time."""
    text = json.dumps(report, indent=1, ensure_ascii=False)
    flat = re.sub(r"(?<=: )[\[{][^\[\]{}\"]*[\]}]|\{(?:\s*\"\d+\": [\d.]+,?)+\s*\}", one_line, text)
    beside = path.with_suffix(".part")
    beside.write_text(flat + "\n")
    beside.replace(path)


def one_line(found: re.Match[str]) -> str:
    """What was found, without line breaks."""
    return re.sub(r"\s+", " ", found[0]).replace("[ ", "[").replace(" ]", "]")


def command(given: argparse.Namespace) -> str:
    """As it was given, without the paths of this machine."""
    said = {str(given.datasets): "DATASETS", given.peer_python: "PEERS", f"{given.out.parent.resolve()}/": ""}
    words = ["python benchmarks/search.py", *sys.argv[1:]]
    for path in filter(None, said):
        words = [word.replace(path, said[path]) for word in words]
    return " ".join(words)


def host() -> dict[str, Any]:
    """The processor and the versions that a search depends on."""
    info = Path("/proc/cpuinfo")
    models = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    told: dict[str, Any] = {"cpu": models[0].split(":", 1)[1].strip() if models else platform.processor()}
    told |= {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    distributions = packages_distributions()  # xgboost comes as xgboost-cpu too
    tools = ("kerntune", "optuna", "xgboost", "scipy", "numpy")
    return told | {tool: version(distributions[tool][0]) for tool in tools if tool in distributions}


def names(text: str) -> list[str]:
    """A list of the command line."""
    return text.split(",")


def main() -> None:
    """Run, or show what was run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run")
    runs.add_argument("--datasets", type=Path, required=True)
    runs.add_argument("--spaces", type=names, default=[])
    runs.add_argument("--samplers", type=names, default=[], help="none: all of ours but exhaustive")
    runs.add_argument("--peer-python", default="", help="interpreter that has kernel_tuner; none: no peers")
    runs.add_argument("--peers", type=names, default=[], help=f"strategies of kernel_tuner; none: {', '.join(PEERS)}")
    runs.add_argument("--knowing", type=names, default=[])
    runs.add_argument("--shuffled", action="store_true")
    runs.add_argument("--again", action="store_true", help="replace what --out has of these searches")
    runs.add_argument("--seeds", type=int, default=20)
    runs.add_argument("--trials", type=int, default=200)
    runs.add_argument("--jobs", type=int, default=2)
    runs.add_argument("--out", type=Path, required=True)
    runs.set_defaults(do=run)
    table = commands.add_parser("table")
    table.add_argument("files", type=Path, nargs="+")
    table.set_defaults(do=lambda given: print(search_report.table(search_report.read(given.files))))
    picture = commands.add_parser("picture")
    picture.add_argument("file", type=Path)
    picture.add_argument("out", type=Path)
    picture.set_defaults(do=lambda given: search_report.draw(search_report.read([given.file]), given.out))
    given = parser.parse_args()
    given.do(given)


if __name__ == "__main__":
    main()
