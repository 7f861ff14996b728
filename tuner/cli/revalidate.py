"""`tune revalidate`: after an upgrade, the old best few timed anew, so that lookups are exact again."""

from __future__ import annotations

from typing import Annotated

import typer

from .flags import DEVICE_HELP

_DB = "SQLAlchemy URL of the database [env KERNTUNE_DB]"
_FRACTION = "of what each problem's search cost, that it may take (120 s where that is not known)"


def revalidate(
    op: Annotated[list[str] | None, typer.Argument(help="only these: gemm", metavar="[OP]…")] = None,
    device: Annotated[str, typer.Option(help=DEVICE_HELP)] = "auto",
    fraction: Annotated[float, typer.Option(help=_FRACTION, metavar="SHARE")] = 0.05,
    seconds: Annotated[
        float | None, typer.Option("--time", help="seconds for each problem, in place of the share", metavar="SECONDS")
    ] = None,
    best: Annotated[int, typer.Option(help="configs timed anew of each problem", metavar="N")] = 5,
    force: Annotated[bool, typer.Option("--force", help="also what is exact")] = False,
    retune: Annotated[bool, typer.Option("--retune", help="search anew where the few leave doubts")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done, and measure nothing")] = False,
    seed: Annotated[int, typer.Option(help="of the inputs")] = 0,
    db: Annotated[str | None, typer.Option(metavar="URL", help=_DB)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> int:
    """After an upgrade of driver, compiler or template: time the old best few anew, so that lookups are exact again."""
    from ..backends.gpu_target import wake_driver

    if device != "cpu":
        wake_driver()  # first of all: the imports below take as long
    from ..revalidating import RevalidateRequest, RevalidateWatch, run
    from .exits import INTERRUPTED
    from .revalidate_tables import RevalidateView, print_json, print_report

    request = RevalidateRequest(tuple(op or ()), device, fraction, seconds, best, force, retune, dry_run, seed, db)
    with RevalidateView() as view:
        report = run(request, RevalidateWatch(view.started, view.changed))
    if as_json:
        print_json(report, dry_run)
    else:
        print_report(report, dry_run)
    return INTERRUPTED if report.interrupted else 0
