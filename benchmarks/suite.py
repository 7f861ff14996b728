"""A suite of problems of one op: each tuned within a budget, then its winner against all ways of the vendor library.

One process and one open device for all problems, caches cold, CUDA graphs, random data. A small problem that is not
kept goes first: compilers and libraries are loaded then, and the first problem has no less than the others. The ratio
is that of a last playoff of `--rounds` rounds, in which the winner, its template's default and the vendor's ways take
turns: vendor ÷ ours, median of paired rounds, with its 95 % interval, against the fastest way. What a problem gave is
written at once, as a line of `--log` (NAME.jsonl): the same command goes on from there, and retries what failed.
`--limit 0` only reports. Suites: gemm_suite.py, attention_suite.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from suite_picture import svg
from suite_report import roofline_us, table

FINAL_S = 15.0
"""What a problem is taken to need beside its search, before one was seen."""


class Entry(Protocol):
    """One problem of a suite."""

    @property
    def shape(self) -> str: ...

    @property
    def name(self) -> str: ...

    def fields(self) -> dict[str, Any]:
        """Of the op, those that are not its defaults."""


@dataclass(frozen=True, slots=True)
class Suite:
    """The problems of an op, and what their results come to."""

    op: str
    script: str  # what is run: "gemm_suite.py"
    parts: tuple[str, ...]
    entries: Callable[[Sequence[str], Path | None, Sequence[str]], Sequence[Any]]  # (parts, file, shapes only)
    summary: Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]
    warm_up: Mapping[str, Any]  # fields of the small problem that goes first


def measured(suite: Suite, entry: Entry, given: argparse.Namespace, host: Any) -> dict[str, Any]:
    """One problem: tuned, then timed in a playoff of its own. What cannot be says so in `error`."""
    from kerntune.spaces.errors import DeviceError, NoFeasibleConfig
    from kerntune.templates.catalogue import op_named
    from kerntune.tuner import benching, tuning
    from kerntune.tuner.budget import Budget

    fields = entry.fields()
    told = {"problem": entry.name, **fields, "dtype": op_named(suite.op).problem(host.target.kind, **fields)["dtype"]}
    words = {"seed": given.seed, "db_url": url_of(given.db), "templates": tuple(given.template)}
    how = {"sampler": given.sampler, "force": given.force, "transfer": given.transfer}
    request = tuning.Request(suite.op, fields, budget=Budget(given.trials, given.time), **how, **words)
    try:
        tuned = tuning.run(request, host=host)
        if tuned.interrupted:
            raise KeyboardInterrupt
        words |= {"templates": (tuned.record.template,), "rounds": given.rounds}
        config = json.dumps(dict(tuned.record.config))
        benched = benching.run(benching.Request(suite.op, fields, config, **words), host=host)
    except (NoFeasibleConfig, DeviceError) as error:
        return told | {"error": f"{type(error).__name__}: {error}"}
    return told | _times(benched, host) | _search(tuned, benched)


def _times(benched: Any, host: Any) -> dict[str, Any]:
    """What the last playoff said."""
    from kerntune.cache.records import Measurement
    from kerntune.tuner.cli.result import ways_of
    from kerntune.tuner.measure.readings import warnings

    measurement, default = benched.measurement, benched.default_time
    problem = benched.record.key.problem
    us, vendors = measurement.median_us, ways_of(benched.record.baseline)
    fastest = vendors[0] if vendors else dict.fromkeys(("name", "median_us", "speedup", "interval"))
    bandwidth = getattr(host.target.device, "bandwidth_gbs", 0)
    words = (host.target.name, str(problem["dtype"]), problem.dim("flops"), problem.dim("bytes"), bandwidth)
    floor_us = roofline_us(*words)
    return {
        "us": us,
        "spread_us": measurement.spread_us,
        "samples": len(measurement.samples_us),
        "rounds": benched.rounds,
        **{"vendor": fastest["name"], "vendor_us": fastest["median_us"]},
        **{"ratio": fastest["speedup"], "interval": fastest["interval"]},
        "vendors": vendors,
        "left_out": dict(benched.left_out),
        "default_us": default.median_us if isinstance(default, Measurement) else None,
        "tflops": round(problem.dim("flops") / us / 1e6, 2),
        "tbs": round(problem.dim("bytes") / us / 1e6, 4),
        "roofline": None if floor_us is None else round(floor_us / us, 4),
        "doubts": warnings(measurement.readings),
    }


def _search(tuned: Any, benched: Any) -> dict[str, Any]:
    """What was found, and what it took."""
    counts, record = tuned.counts, tuned.record
    return {
        "template": record.template,
        "config": dict(record.config),
        "digest": record.config.digest,
        "feasible": {name: len(space) for name, space in tuned.spaces.items()},
        "trials": {name: getattr(counts, name) for name in ("measured", "failed", "rejected")},
        "seconds": {"tune": round(tuned.seconds, 2), "final": round(benched.seconds, 2)},
        "transfer": tuned.notes.get("transfer"),
        "cached": tuned.cached,
        "stopped": tuned.stopped,
    }


class Log:
    """Results as lines of a file, each there for good once `add` returned."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self._path, self._settings = path, settings
        self.lines: dict[str, dict[str, Any]] = {}
        self._is_torn = False
        if path.exists():
            text = path.read_text(encoding="utf-8")
            self._is_torn = bool(text) and not text.endswith("\n")
            for line in text.splitlines():
                self._take(line)

    def add(self, result: dict[str, Any], target: dict[str, Any]) -> None:
        line = {"result": result, "settings": self._settings, "target": target, "date": now()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" * self._is_torn + json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._is_torn = False
        self.lines[result["problem"]] = line

    def done(self, entry: Entry) -> bool:
        """Whether it has a result, other than that it could not be had."""
        line = self.lines.get(entry.name)
        return line is not None and "error" not in line["result"]

    def results(self, asked: Sequence[Entry]) -> list[dict[str, Any]]:
        return [self.lines[entry.name]["result"] for entry in asked if entry.name in self.lines]

    def target(self) -> dict[str, Any] | None:
        return next((line["target"] for line in reversed(self.lines.values())), None)

    def _take(self, text: str) -> None:
        """A line of these settings; one that was cut short, or is of others, is left where it is."""
        try:
            line = json.loads(text)
        except ValueError:
            return
        if line["settings"] == self._settings:
            name = line["result"]["problem"]
            self.lines.pop(name, None)
            self.lines[name] = line


def run(
    suite: Suite, given: argparse.Namespace, asked: Sequence[Entry], log: Log, open_host: Callable[[str], Any]
) -> None:
    """Measure what is missing, as long as the time allows; Ctrl-C ends it with all that is known kept."""
    started_s, longest_s = time.monotonic(), given.time + FINAL_S
    missing = [entry for entry in asked if not log.done(entry)]
    with ExitStack() as opened:
        host = None
        for place, entry in enumerate(missing):
            left_s = given.limit - (time.monotonic() - started_s)
            if left_s < longest_s:
                print(f"{len(missing) - place} problems are left: the same command goes on.", file=sys.stderr)
                return
            if host is None:
                host = opened.enter_context(closing(open_host(given.device)))
                warm_up(suite, given, host)
            began_s = time.monotonic()
            result = measured(suite, entry, given, host)
            log.add(result, host.target.as_dict())
            took_s = time.monotonic() - began_s
            longest_s = took_s if place == 0 else max(longest_s, took_s)
            print(f"{place + 1}/{len(missing)} {took_s:.0f} s", table([result]).splitlines()[-1], file=sys.stderr)


def warm_up(suite: Suite, given: argparse.Namespace, host: Any) -> None:
    """Load what every study needs, by one of a small problem that is forgotten."""
    from kerntune.spaces.errors import DeviceError, NoFeasibleConfig
    from kerntune.tuner import tuning
    from kerntune.tuner.budget import Budget

    if given.warm_up <= 0:
        return
    with tempfile.TemporaryDirectory() as folder:
        words = {"seed": given.seed, "db_url": url_of(f"{folder}/warm.db"), "templates": tuple(given.template)}
        request = tuning.Request(suite.op, dict(suite.warm_up), budget=Budget(1_000, given.warm_up), **words)
        try:
            tuned = tuning.run(request, host=host)
        except (NoFeasibleConfig, DeviceError) as error:
            print(f"warm-up: {error}", file=sys.stderr)
        else:
            if tuned.interrupted:
                raise KeyboardInterrupt


def document(
    suite: Suite, given: argparse.Namespace, argv: Sequence[str], asked: Sequence[Entry], log: Log
) -> dict[str, Any]:
    """All that is known, as it is written."""
    results = log.results(asked)
    return {
        "command": " ".join([f"python benchmarks/{suite.script}", *map(without_folder, argv)]),
        "date": now(),
        "target": log.target(),
        "host": {"python": platform.python_version(), "cores": len(os.sched_getaffinity(0))},
        "settings": settings_of(given),
        "missing": [entry.name for entry in asked if not log.done(entry)],
        "summary": suite.summary(results),
        "results": results,
    }


def settings_of(given: argparse.Namespace) -> dict[str, Any]:
    """What makes two runs of a problem comparable."""
    names = ("trials", "time", "warm_up", "rounds", "seed", "sampler", "transfer", "template")
    return {name: getattr(given, name) for name in names}


def without_folder(word: str) -> str:
    """A file by its name alone: a command is read on other machines."""
    return word.rpartition("/")[2] if "/" in word else word


def url_of(database: str) -> str:
    """A SQLAlchemy URL, or a file as one."""
    return database if "://" in database else f"sqlite:///{Path(database).absolute()}"


def now() -> str:
    """In UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def parsed(suite: Suite, argv: Sequence[str], about: str | None) -> argparse.Namespace:
    """The flags."""
    from kerntune.tuner.samplers import DEFAULT

    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--parts", nargs="+", choices=suite.parts, default=list(suite.parts))
    parser.add_argument("--suite", type=Path, help="a file of problems in place of our own")
    parser.add_argument("--shape", nargs="+", default=[], metavar="SHAPE", help="only these")
    parser.add_argument("--template", nargs="+", default=[])
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--time", type=float, default=20.0, help="seconds of search for a problem")
    parser.add_argument("--warm-up", type=float, default=10.0, help="seconds of a small problem that goes first")
    parser.add_argument("--rounds", type=int, default=40, help="of the last playoff")
    parser.add_argument("--sampler", default=DEFAULT)
    parser.add_argument("--seed", type=int, default=0)
    transfer = "search each problem as if no other had been searched before"
    parser.add_argument("--no-transfer", dest="transfer", action="store_false", help=transfer)
    parser.add_argument("--force", action="store_true", help="search again, whatever the database knows")
    parser.add_argument("--limit", type=float, default=float("inf"), help="seconds of the whole run")
    parser.add_argument("--db", required=True, help="SQLite file or SQLAlchemy URL; what was tuned stays there")
    parser.add_argument("--log", type=Path, help="results line by line; default: beside --out")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--picture", type=Path, metavar="FILE.svg")
    given = parser.parse_args(argv)
    given.log = given.log or given.out.with_suffix(".jsonl")
    return given


def main(
    suite: Suite, argv: Sequence[str], about: str | None = None, open_host: Callable[[str], Any] | None = None
) -> None:
    """What a suite's script does with its flags; `about` is its help."""
    from kerntune.tuner import settings, wiring

    given = parsed(suite, argv, about)
    asked = suite.entries(given.parts, given.suite, given.shape)
    log = Log(given.log, settings_of(given))
    try:
        run(suite, given, asked, log, open_host or (lambda name: wiring.open_host(name, settings.read())))
    except KeyboardInterrupt:
        print("interrupted: the same command goes on.", file=sys.stderr)
    report = document(suite, given, argv, asked, log)
    for path, text in ((given.out, json.dumps(report, indent=1) + "\n"), (given.picture, picture(suite, report))):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    print(table(report["results"]))
    print(json.dumps(report["summary"], indent=1))


def picture(suite: Suite, report: dict[str, Any]) -> str:
    """The ratios of all parts."""
    device = (report["target"] or {}).get("device", {}).get("name", "no device")
    seconds = report["settings"]["time"]
    return svg(
        report["results"], f"{suite.op} on {device}, {seconds:g} s of search for each problem, {report['date'][:10]}"
    )
