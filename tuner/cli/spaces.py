"""`tune spaces show OP …`: what each template's space holds for a problem, and what its constraints remove."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ...templates.catalogue import ops
from ...templates.op import Op
from .flags import DEVICE_HELP, OpCommand, fields_of, op_options, option, with_signature

if TYPE_CHECKING:
    from ..space_report import SpaceReport


def spaces_group() -> typer.Typer:
    """`tune spaces` with `show`, which has one command per op."""
    group = typer.Typer(
        help="The search spaces of the templates.",
        epilog="Example: tune spaces show gemm --shape 1024x1024x1024",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    show = typer.Typer(
        help="What each template may be for a problem: parameters, counts, and what each constraint removes.",
        epilog="Example: tune spaces show gemm --shape 1024x1024x1024",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for op in ops().values():
        show.command(op.name, cls=OpCommand, epilog=f"Example: tune spaces show {op.name} --shape {op.example}")(
            _command(op)
        )
    # One command would take the group's place; typer keeps the name only beside a callback.
    show.callback()(lambda: None)
    group.callback()(lambda: None)
    group.add_typer(show, name="show")
    return group


def _command(op: Op) -> Any:
    picture = "draw what each constraint leaves into this .html (one file, no network) or .json (plotly's)"
    options = [
        *op_options(op),
        option("device", str, "auto", DEVICE_HELP),
        option("template", list[str], [], "only this template; may be given several times"),
        option("picture", Path | None, None, picture, metavar="FILE"),
        option("json", bool, False, "one JSON object on standard output"),
    ]
    doc = f"The search spaces for {op.summary} on this machine; measures nothing and touches no database."
    return with_signature(lambda values: _run(op, values), op.name, doc, options)


def _run(op: Op, values: Mapping[str, Any]) -> None:
    picture: Path | None = values["picture"]
    if picture is not None:
        from ..pictures import check_picture_file

        check_picture_file(picture)
    from ..backends.gpu_target import wake_driver

    if values["device"] != "cpu":
        wake_driver()  # before the imports below, which take as long
    from ...templates.catalogue import templates_named
    from .. import settings, tuning, wiring
    from ..space_report import report_of

    host = wiring.open_host(values["device"], settings.read())
    problem = op.problem(host.target.kind, **fields_of(op, values))
    offered = tuning.offers(templates_named(op.name, values["template"]), problem, host)
    reports = [
        report_of(template.name, offer, problem, host.target)
        for template, offer in offered.items()
        if not isinstance(offer, str)
    ]
    unsupported = {template.name: offer for template, offer in offered.items() if isinstance(offer, str)}
    title = f"{op.name} {op.shape_of(problem)} {problem['dtype']} on {host.target.name}"
    if values["json"]:
        about = {"problem": problem.as_dict(), "target": host.target.as_dict()}
        templates = {report.template: report.as_json() for report in reports}
        told = json.dumps({**about, "templates": templates, "unsupported": unsupported}, allow_nan=False)
        print(told)  # noqa: T201 -- the command's own answer
    else:
        _print(title, reports, unsupported)
    if picture is not None and reports:
        from ..pictures import write
        from ..space_picture import picture as drawn

        write(drawn(title, {report.template: report.description for report in reports}), picture)
    tuning.feasible_among(offered, problem, host)


def _print(title: str, reports: Sequence[SpaceReport], unsupported: Mapping[str, str]) -> None:
    from rich.console import Console
    from rich.markup import escape

    from .space_tables import print_space

    console = Console(highlight=False, soft_wrap=True)
    console.print(escape(title))
    for report in reports:
        print_space(console, report)
    for name, reason in unsupported.items():
        console.print(f"\n[bold]{escape(name)}[/] has no space here: {escape(reason)}")
