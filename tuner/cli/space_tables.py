"""A template's space as tables for people: its parameters, and what each constraint removes."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ...spaces.description import Removal
from ...spaces.expressions import Value
from ..space_report import ShownParameter, SpaceReport, count_text, feasible_text

SHOWN_VALUES = 12


def print_space(console: Console, report: SpaceReport) -> None:
    """Counts, parameters, derived values, removals."""
    counts = report.description
    console.print(f"\n[bold]{escape(report.template)}[/]: {feasible_text(counts)}")
    console.print(_parameter_table(report.parameters))
    if counts.feasible and any(parameter.unused and not parameter.absent for parameter in report.parameters):
        console.print("  (value): in no feasible config\n")
    for name, expression in report.derived.items():
        console.print(f"  derived  {escape(name)} = {escape(expression)}")
    if report.bound:
        bound = ", ".join(f"{name} = {_number(value)}" for name, value in report.bound.items())
        console.print(f"  here     {escape(bound)}")
    if report.conflict:
        reasons = " and ".join(f'"{constraint.reason}"' for constraint in report.conflict)
        together = "cannot hold together" if len(report.conflict) > 1 else "cannot hold"
        console.print(f"  [red]empty[/]    {escape(reasons)} {together}")
    console.print(_removal_table(report))
    idle = [removal.reason for removal in counts.removals if removal.alone == 0]
    if idle:
        console.print(f"  {len(idle)} constraints remove nothing here:")
    for reason in idle:
        console.print(f"    [dim]{escape(reason)}[/]")


def _parameter_table(parameters: Iterable[ShownParameter]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=True)
    for column in ("parameter", "values", "default", "only when"):
        table.add_column(column, no_wrap=column == "parameter")
    for parameter in parameters:
        default, when = str(parameter.default), parameter.when or ""
        table.add_row(*(escape(cell) for cell in (parameter.name, _values(parameter), default, when)))
    return table


def _values(parameter: ShownParameter) -> str:
    """Every value; of many, the first and the last ones. Those of no feasible config are in brackets."""
    if parameter.absent:
        return "absent here"
    count, unused = len(parameter.values), frozenset(parameter.unused)
    listed = [f"({value})" if value in unused else str(value) for value in _ends(parameter.values)]
    if len(listed) == count:
        return ", ".join(listed)
    never = f", {len(unused):,} in no feasible config" if unused else ""
    return f"{', '.join(listed[:-2])}, …, {', '.join(listed[-2:])} ({count:,} values{never})"


def _ends(values: tuple[Value, ...]) -> tuple[Value, ...]:
    return values if len(values) <= SHOWN_VALUES else (*values[:4], *values[-2:])


def _removal_table(report: SpaceReport) -> Table:
    """Largest first: those that the constraints declared before them leave; then by what each removes alone."""
    table = Table(box=SIMPLE_HEAD)
    for column in ("in turn", "alone", "only it"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("removed because")
    if report.conditions:
        table.add_row(
            count_text(report.conditions), "", "", "conditional parameters are absent where they do not apply"
        )
    removals = [removal for removal in report.description.removals if removal.alone != 0]
    for removal in sorted(removals, key=_size, reverse=True):
        counts = (count_text(removal.in_turn), count_text(removal.alone), count_text(removal.only_it))
        table.add_row(*counts, f"{escape(removal.reason)}\n[dim]{escape(removal.expression)}[/]")
    return table


def _size(removal: Removal) -> tuple[float, float]:
    in_turn, alone = (float("inf") if n is None else float(n) for n in (removal.in_turn, removal.alone))
    return in_turn, alone


def _number(value: Value) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
