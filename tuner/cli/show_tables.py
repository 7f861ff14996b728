"""What `tune show` prints for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...cache.records import Baseline, Failure, Record
from ..showing import KeyEvidence, Shown, is_edited
from .words import duration, name_of, time_of

if TYPE_CHECKING:
    from rich.console import Console

SAMPLES_SHOWN = 12


def print_shown(shown: Shown, limit: int) -> None:
    """Key by key: problem, target, what was tried, what went wrong, and the records."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"{shown.named:<10}{shown.digest}")
    for one in shown.keys:
        console.print()
        _print_key(console, one, limit)


def _print_key(console: Console, one: KeyEvidence, limit: int) -> None:
    key = one.key
    stated = " ".join(f"{name}={value}" for name, value in key.problem.as_dict().items() if name != "op")
    console.print(f"problem   {name_of(key.problem)}  ({key.problem.digest[:8]})")
    console.print(f"          {stated}")
    console.print(f"device    {key.target.name}  ({key.target.digest[:8]})")
    tools = {name: said for name, said in key.target.as_dict()["toolchain"].items() if said is not None}
    for name, said in tools.items():
        console.print(f"          {name} {said}")
    console.print(f"policy    caches {key.policy.cache}, {key.policy.launch}  (key {key.digest[:8]})")
    for log in one.studies:
        when = log.started_at.isoformat(timespec="seconds")
        console.print(
            f"study     {when}, {log.trials} trials in {duration(log.seconds)} by {log.sampler} (seed {log.seed}), "
            f"ended by {log.stopped}, {log.recorded_by}"
        )
    for trouble in one.troubles:
        when = trouble.at.isoformat(timespec="seconds")
        console.print(f"incident  {when}, {trouble.incident.kind}: {trouble.incident.reason}")
    failed = Counter(record.outcome.kind for record in one.records if isinstance(record.outcome, Failure))
    said = "".join(f", {count} {kind}" for kind, count in failed.items())
    console.print(f"records   {len(one.records)}{said}")
    for record, digest in list(zip(one.records, one.digests, strict=True))[:limit]:
        console.print()
        for line in _lines(record, digest):
            console.print(f"  {line}")
    if len(one.records) > limit:
        console.print(f"  … {len(one.records) - limit} more (--limit, --json)")


def _lines(record: Record, digest: str) -> Iterator[str]:
    """All that a record says."""
    edited = {True: ", edited since", False: "", None: ", not here any more"}[is_edited(record)]
    yield f"config    {record.config!r}  ({record.config.digest[:8]})"
    yield f"template  {record.template} ({record.template_digest[:8]}{edited}), space {record.space_digest[:8]}"
    outcome = record.outcome
    if isinstance(outcome, Failure):
        yield f"failed    {outcome.kind}: {outcome.reason}"
    else:
        raced = ", given up early" if outcome.raced_out else ""
        count = len(outcome.samples_us)
        yield f"time      {time_of(outcome.median_us)} ± {time_of(outcome.spread_us)} ({record.phase}{raced})"
        more = f" … {count - SAMPLES_SHOWN} more (--json)" if count > SAMPLES_SHOWN else ""
        yield f"samples   {' '.join(f'{us:.6g}' for us in outcome.samples_us[:SAMPLES_SHOWN])}{more} µs"
        if outcome.deterministic is not None:
            yield f"bits      {'the same' if outcome.deterministic else 'not the same'} from the same inputs"
        for name, known in (("readings", outcome.readings), ("uses", outcome.uses)):
            if known:
                yield f"{name:<9} {_named(known)}"
    if record.verdict is not None:
        tied = f", tied with {', '.join(d[:8] for d in record.verdict.tied_with)}" if record.verdict.tied_with else ""
        yield f"verdict   won after {record.verdict.rounds} rounds, {record.verdict.confidence:.1%} sure{tied}"
    if record.baseline is not None:
        yield from (f"vendor    {_vendor(way)}" for way in (record.baseline, *record.baseline.others))
    yield f"recorded  {record.recorded_at.isoformat(timespec='seconds')} by {record.recorded_by}  ({digest[:8]})"


def _vendor(way: Baseline) -> str:
    speedup = "" if way.speedup is None else f", ours is {way.speedup:.3f} × as fast"
    interval = (
        "" if way.speedup_interval is None else f" ({way.speedup_interval[0]:.3f} to {way.speedup_interval[1]:.3f})"
    )
    fault = "" if way.fault is None else f", its numbers are off: {way.fault}"
    return f"{way.name} {time_of(way.median_us)}{speedup}{interval}{fault}"


def _named(known: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in known.items())
