"""`tune workload FILE --time S`: many problems with weights under one time budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..samplers import DEFAULT, SAMPLERS
from .flags import DEVICE_HELP

_FILE = "problems as a JSON list or one JSON object a line, each with op, shape, fields and weight"
_PICTURE = "draw the total over the seconds and where they went into this .html (one file, no network) or .json"
_DB = "SQLAlchemy URL of the database [env KERNTUNE_DB]"


def workload(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_FILE)],
    seconds: Annotated[float, typer.Option("--time", metavar="SECONDS", help="for all problems together")],
    device: Annotated[str, typer.Option(help=DEVICE_HELP)] = "auto",
    template: Annotated[list[str] | None, typer.Option(help="only this template; may be given several times")] = None,
    patience: Annotated[
        int | None, typer.Option(metavar="N", help="trials in a row without a better best that end a problem [80]")
    ] = None,
    sampler: Annotated[str, typer.Option(help=f"how configs are chosen: {', '.join(SAMPLERS)}")] = DEFAULT,
    seed: Annotated[int, typer.Option(help="of the search")] = 0,
    force: Annotated[bool, typer.Option("--force", help="measure again, whatever is known")] = False,
    transfer: Annotated[bool, typer.Option(help="start from results of near problems and devices")] = True,
    policy: Annotated[str, typer.Option(metavar="cold|warm", help="how times are taken: caches cold or warm")] = "cold",
    db: Annotated[str | None, typer.Option(metavar="URL", help=_DB)] = None,
    picture: Annotated[Path | None, typer.Option(metavar="FILE", help=_PICTURE)] = None,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> int:
    """Tune many problems under one time budget: the next trials go where the total weighted time falls most."""
    if picture is not None:
        from ..pictures import check_picture_file

        check_picture_file(picture)
    from ..backends.gpu_target import wake_driver

    if device != "cpu":
        wake_driver()  # first of all: the imports below take as long
    from .. import workload as use_case
    from ..schedule import PATIENCE
    from ..workload_file import read
    from .exits import INTERRUPTED
    from .workload_progress import WorkloadView
    from .workload_tables import print_json, print_report

    request = use_case.WorkloadRequest(
        problems=lambda kind: read(file, kind),
        time_s=seconds,
        device=device,
        templates=tuple(template or ()),
        sampler=sampler,
        seed=seed,
        policy=policy,
        force=force,
        db_url=db,
        transfer=transfer,
        patience=PATIENCE if patience is None else patience,
    )
    with WorkloadView() as view:
        report = use_case.run(request, use_case.WorkloadWatch(view.started, view.changed))
    (print_json if json_ else print_report)(report)
    if picture is not None:
        from ..pictures import write
        from ..workload_picture import picture as drawn

        write(drawn(report), picture)
    return INTERRUPTED if report.interrupted else 0
