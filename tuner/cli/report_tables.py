"""A study's report for people: what was found, how it came, what failed, what mattered."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ...cache.records import Baseline, Record
from ...spaces.expressions import Value
from ..study_report import ParameterReport, Place, StudyReport, TemplateReport, ValueTried
from .words import duration, name_of, rate, time_of

BARS = "▁▂▃▄▅▆▇█"
SHOWN_STEPS, SHOWN_PARAMETERS, SHOWN_VALUES, SHOWN_REASONS = 8, 6, 5, 2
REASON_CHARS = 160


def print_study(report: StudyReport) -> None:
    """From the winner down to the causes."""
    console = Console(highlight=False)
    key = report.key
    policy = f"{key.policy.cache}, {key.policy.launch}"
    console.print(f"[bold]{escape(name_of(key.problem))}[/] on {escape(key.target.name)} ({policy})")
    _print_winner(console, report)
    _line(console, "tried", _tried(report))
    _print_curve(console, report)
    for template in report.templates:
        _print_template(console, template, alone=len(report.templates) == 1)
    _print_top(console, report.top, several=len(report.templates) > 1)


def _line(console: Console, name: str, text: str) -> None:
    """A name, and words that wrap beside it."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=9)
    table.add_column()
    table.add_row(name, text)
    console.print(table)


def _print_winner(console: Console, report: StudyReport) -> None:
    record = report.winner
    measurement = record.measurement if record else None
    if record is None or measurement is None:
        _line(console, "winner", "[red]none: nothing ran to the end[/]")
        return
    _line(console, "winner", f"[bold]{escape(repr(record.config))}[/] ({escape(record.template)})")
    spread = f"{time_of(measurement.median_us)} ± {time_of(measurement.spread_us)}"
    _line(console, "time", f"{spread}, {rate(report.key.problem, measurement.median_us)}{escape(_speedup(record))}")
    for way in record.baseline.others if record.baseline else ():
        _line(console, "vendor", escape(f"{time_of(way.median_us)}{_speedup_over(way)}"))
    _line(console, "playoff", _verdict(record))
    if measurement.uses:
        _line(console, "uses", escape(_uses(measurement.uses)))
    for warning in report.warnings:
        _line(console, "[yellow]doubt[/]", f"while it was timed, {escape(warning)}: times may be off")


def _speedup(record: Record) -> str:
    return "" if record.baseline is None else _speedup_over(record.baseline)


def _speedup_over(way: Baseline) -> str:
    """The winner's, over one of the vendor's ways."""
    if way.speedup is None:
        return ""
    interval = way.speedup_interval
    within = f" (95 %: {interval[0]:.2f} … {interval[1]:.2f})" if interval else ""
    return f", {way.speedup:.2f} × {way.name}{within}"


def _verdict(record: Record) -> str:
    verdict = record.verdict
    if verdict is None:
        return "none: the search was not ended, or another config was benched since"
    tied = ""
    if verdict.tied_with:
        tied = f"; tied with {', '.join(digest[:8] for digest in verdict.tied_with)}: the smallest digest decides"
    sure = "over 99%" if verdict.confidence > 0.99 else f"{verdict.confidence:.0%}"  # nobody is 100% sure
    return f"{sure} sure that no other is faster, after {verdict.rounds} rounds{tied}"


def _uses(uses: Mapping[str, object]) -> str:
    """Counts with their names; what is nested (the instruction mix) is left to --json."""
    return ", ".join(f"{name} {value:,}" for name, value in uses.items() if isinstance(value, int))


def _tried(report: StudyReport) -> str:
    counts = report.counts
    total = counts.measured + counts.failed + counts.rejected
    known = [template.feasible for template in report.templates if template.feasible is not None]
    of = f" of {sum(known):,} feasible" if len(known) == len(report.templates) else ""
    raced = sum(template.raced_out for template in report.templates)
    ran = f"{counts.measured:,} measured ({raced:,} raced out)" if raced else f"{counts.measured:,} measured"
    runs = f" in {report.sessions} runs" if report.sessions > 1 else ""
    doubtful = f"; {report.doubtful:,} times are doubtful" if report.doubtful else ""
    return (
        f"{total:,}{of}: {ran}, {counts.failed:,} failed, {counts.rejected:,} rejected; "
        f"{duration(report.seconds)}{runs}{doubtful}"
    )


def _print_curve(console: Console, report: StudyReport) -> None:
    """The best so far, by trial: a line of bars, and a table of its steps."""
    curve = report.curve
    if not curve:
        return
    best = _best_so_far(report)
    width = min(60, max(10, console.width - 40))
    first, last = time_of(curve[0].us or 0.0), time_of(curve[-1].us or 0.0)
    _line(console, "best", f"{first} {sparkline(best, width)} {last} after {curve[-1].number:,} trials")
    table = Table(box=SIMPLE_HEAD)
    for column in ("trial", "seconds", "best so far", "of the best"):
        table.add_column(column, justify="right")
    if len(report.templates) > 1:
        table.add_column("template")
    shown = curve if len(curve) <= SHOWN_STEPS else (*curve[:2], *curve[-(SHOWN_STEPS - 2) :])
    for step in shown:
        us = step.us or 0.0
        cells = (f"{step.number:,}", f"{step.seconds:,.1f}", time_of(us), f"{(curve[-1].us or 0.0) / us:.1%}")
        table.add_row(*cells, *([escape(step.template)] if len(report.templates) > 1 else []))
    console.print(table)


def _best_so_far(report: StudyReport) -> list[float | None]:
    """µs after each trial; None until something ran."""
    best: list[float | None] = []
    for trial in report.trials:
        best.append(trial.us if trial.is_best else best[-1] if best else None)
    return best


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Values as bars on a log scale, the last of each part of equal length; a dot where there is none."""
    count = min(width, len(values))
    parts = [values[(place + 1) * len(values) // count - 1] for place in range(count)]
    logs = [math.log(value) for value in parts if value]
    low, high = min(logs, default=0.0), max(logs, default=0.0)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join("·" if not value else BARS[round((math.log(value) - low) * scale)] for value in parts)


def _print_template(console: Console, report: TemplateReport, alone: bool) -> None:
    counts = report.counts
    if not alone or not report.is_current:
        best = "nothing ran" if report.best_us is None else f"best {time_of(report.best_us)}"
        of = "" if report.feasible is None else f" of {report.feasible:,} feasible"
        edited = "" if report.is_current else f" (as it was: {report.digest[:8]})"
        total = counts.measured + counts.failed + counts.rejected
        console.print(f"[bold]{escape(report.template)}[/]{edited}: {best}, {total:,} tried{of}")
    if report.failures:
        console.print(_failure_table(report))
    if report.explained is not None:
        console.print(_parameter_table(report.parameters[:SHOWN_PARAMETERS]))
        rest = [parameter.name for parameter in report.parameters[SHOWN_PARAMETERS:] if parameter.effect is not None]
        less = f" Less: {', '.join(map(escape, rest))}." if rest else ""
        same = [parameter.name for parameter in report.parameters if parameter.effect is None]
        never = f" Never varied: {', '.join(map(escape, same))}." if same else ""
        console.print(f"  They explain {report.explained:.0%} of the differences between times.{less}{never}\n")


def _failure_table(report: TemplateReport) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("failed", justify="right", no_wrap=True)
    table.add_column("as", no_wrap=True)
    table.add_column("commonest reasons")
    for failure in report.failures:
        reasons = (f"{count:,} × {escape(reason[:REASON_CHARS])}" for reason, count in failure.reasons[:SHOWN_REASONS])
        table.add_row(f"{failure.count:,}", failure.kind, "\n".join(reasons))
    return table


def _parameter_table(parameters: Iterable[ParameterReport]) -> Table:
    shown = [parameter for parameter in parameters if parameter.effect is not None]
    most = max((parameter.effect or 0.0 for parameter in shown), default=0.0) or 1.0
    table = Table(box=SIMPLE_HEAD)
    table.add_column("parameter", no_wrap=True)
    table.add_column("moves the time by", no_wrap=True)
    table.add_column("best time with each value")
    for parameter in shown:
        effect = parameter.effect or 0.0
        bar = "█" * max(1, round(8 * effect / most))
        best_us = parameter.values[0].best_us
        values = [_value_time(tried, best_us) for tried in parameter.values[:SHOWN_VALUES]]
        more = len(parameter.values) - len(values)
        text = " · ".join([*values, *([f"{more} more"] if more > 0 else [])])
        table.add_row(escape(parameter.name), f"{effect:6.1%} {bar}", text)
    return table


def _value_time(tried: ValueTried, best_us: float | None) -> str:
    """The best value with its time, the others by how much more theirs is."""
    if tried.best_us is None or best_us is None:
        time = "raced out" if tried.failed < tried.tried else "-"
    elif tried.best_us == best_us:
        time = time_of(best_us)
    else:
        time = f"+{tried.best_us / best_us - 1:.1%}"
    failed = f" ({tried.failed} of {tried.tried} failed)" if tried.failed else ""
    return f"[bold]{escape(_shown(tried.value))}[/] {time}{failed}"


def _shown(value: Value | None) -> str:
    return "absent" if value is None else str(value)


def _print_top(console: Console, top: Sequence[Place], several: bool) -> None:
    if len(top) < 2:
        return
    table = Table(box=SIMPLE_HEAD, title=f"the best {len(top)}", title_justify="left")
    table.add_column("config", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("from", no_wrap=True)
    if several:
        table.add_column("template", no_wrap=True)
    table.add_column("differs from the winner in")
    for place in top:
        record = place.record
        differs = " ".join(f"{name}={_shown(value)}" for name, value in place.differs.items()) or "it is the winner"
        template = [escape(record.template)] if several else []
        table.add_row(record.config.digest[:8], time_of(place.us), record.phase, *template, escape(differs))
    console.print(table)
