"""`tune replay HEADER.json`: search a recorded space instead of a device."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..samplers import DEFAULT, SAMPLERS

if TYPE_CHECKING:
    from ..backends.recorded import Recorded
    from ..replaying import Evaluation, Report

DIGEST = re.compile(r"[0-9a-f]{6,32}")

_SOURCE = "header of a recorded space, T4 results, or the digest of a stored study's best config"


def replay(
    source: Annotated[str, typer.Argument(metavar="HEADER.json", help=_SOURCE)],
    sampler: Annotated[str, typer.Option(help=f"how configs are chosen: {', '.join(SAMPLERS)}")] = DEFAULT,
    trials: Annotated[int, typer.Option(help="configs to try at most, each charged once, failures too")] = 200,
    seeds: Annotated[int, typer.Option(help="how often to search, with seeds 0, 1, 2, …")] = 20,
    seconds: Annotated[
        float, typer.Option("--time", help="recorded seconds to spend at most", metavar="SECONDS")
    ] = float("inf"),
    knowing: Annotated[
        list[str] | None, typer.Option(help="start from the records of another device", metavar="HEADER.json")
    ] = None,
    trace: Annotated[Path | None, typer.Option(help="write each evaluation as a JSON line", metavar="FILE")] = None,
    db: Annotated[str | None, typer.Option(help="SQLAlchemy URL of the database of a stored study")] = None,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> int:
    """Judge a sampler without a device: recorded times answer, and what is found is held against the best there is."""
    from ..budget import Budget
    from ..replaying import replay as replayed
    from ..samplers import check_name
    from .exits import INTERRUPTED, complain
    from .replay_tables import print_report

    check_name(sampler)
    budget = Budget(trials, seconds)
    recorded = _recorded(source, db)
    known = [_recorded(other, db) for other in knowing or ()]
    with _traced(trace) as write, _progress(seeds * trials) as advance:

        def watch(evaluation: Evaluation) -> None:
            write(evaluation)
            advance()

        report = replayed(recorded, sampler, budget, seeds, time.perf_counter, known, watch)
    for note in recorded.notes:
        complain(f"note: {note}")
    if known and not report.known:
        complain(f'note: "{sampler}" learns from no other device: --knowing changes nothing')
    if report.interrupted:
        complain(f"interrupted: {len(report.runs)} of {seeds} seeds were done")
    if json_:
        print(json.dumps(_as_json(report), allow_nan=False))  # noqa: T201 -- the command's own answer
    else:
        print_report(report)
    return INTERRUPTED if report.interrupted else 0


def _recorded(source: str, db: str | None) -> Recorded:
    """A file, or a study of the store."""
    from ..backends.replay import read

    if DIGEST.fullmatch(source) and not Path(source).exists():
        from .. import settings, wiring
        from ..backends.stored import from_store

        store = wiring.open_store(settings.read(), db)
        try:
            return from_store(store, source)
        finally:
            store.close()
    return read(Path(source))


@contextmanager
def _traced(path: Path | None) -> Iterator[Any]:
    """A writer of evaluations. Raises: UsageError where the file cannot be written."""
    from ...spaces.errors import UsageError

    if path is None:
        yield lambda evaluation: None
        return
    try:
        with path.open("w", encoding="utf-8") as lines:

            def write(evaluation: Evaluation) -> None:
                told = {"seed": evaluation.seed, "trial": evaluation.trial, "config": dict(evaluation.config)}
                lines.write(json.dumps(told) + "\n")

            yield write
    except OSError as error:
        raise UsageError(f"cannot write the trace to {path}: {error.strerror}. Name another file by --trace.") from None


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A bar over all trials of all seeds; nothing where standard error is no terminal."""
    import sys

    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    task = bar.add_task("replaying", total=total)
    with bar:
        yield lambda: bar.advance(task)


def _as_json(report: Report) -> dict[str, Any]:
    """INTERFACE's fields, then what else there is to say; curves are optimum ÷ best so far."""
    recorded = report.recorded
    return {
        "sampler": report.sampler,
        "trials": report.budget.trials,
        "seeds": len(report.runs),
        "curve": {str(trials): asdict(point) for trials, point in report.by_trials().items()},
        "sampler_ms_per_trial": report.sampler_ms_per_trial,
        "curve_seconds": {f"{at:g}": asdict(point) for at, point in report.by_seconds().items()} or None,
        "mean_trials": report.mean_trials,
        "space": {"name": recorded.name, "feasible": recorded.feasible.total, "failed": len(recorded.failures)},
        "optimum_us": recorded.optimum_us,
        "known": list(report.known),
        "notes": list(recorded.notes),
    }
