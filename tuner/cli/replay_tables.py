"""The result of `tune replay` for people."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..replaying import Point, Report
from .words import duration, time_of


def print_report(report: Report) -> None:
    """What was searched, the curve, and what the sampler itself took."""
    recorded, console = report.recorded, Console(highlight=False, soft_wrap=True)
    table = Table(title="optimum ÷ best so far")
    for column in ("after", "mean", "median", "p10"):
        table.add_column(column, justify="right")
    for trials, point in report.by_trials().items():
        table.add_row(f"{trials:,} trials", *_cells(point))
    by_seconds = report.by_seconds()
    if by_seconds:
        table.add_section()
    for at, point in by_seconds.items():
        table.add_row(_seconds(at), *_cells(point))
    console.print(table)
    name = "".join(c if c.isprintable() else "?" for c in recorded.name)
    console.print(f"space     {escape(name)}: {recorded.feasible.total:,} configs, {len(recorded.failures):,} fail")
    console.print(f"optimum   {time_of(recorded.optimum_us)}")
    known = f", knowing {', '.join(map(escape, report.known))}" if report.known else ""
    tried = f"{report.mean_trials:,.0f} trials each" if report.mean_trials else "no trials"
    console.print(f"sampler   {report.sampler}{known}, {len(report.runs)} seeds, {tried}")
    console.print(f"its time  {report.sampler_ms_per_trial:.2f} ms a trial")


def _cells(point: Point) -> tuple[str, str, str]:
    return f"{point.mean:.3f}", f"{point.median:.3f}", f"{point.p10:.3f}"


def _seconds(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 10 else duration(seconds)
