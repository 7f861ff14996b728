"""`tune gemm …`: one tuning command per op."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from ...templates.catalogue import ops
from ...templates.op import Op
from ..samplers import DEFAULT, SAMPLERS, foretells
from .exits import INTERRUPTED, complain
from .flags import (
    DEVICE_HELP,
    OpCommand,
    answer_options,
    fields_of,
    op_options,
    option,
    stop_options,
    switch,
    with_signature,
)


def add_tuning_commands(app: typer.Typer) -> None:
    """Add `tune <op>` for every op of the catalogue."""
    for op in ops().values():
        command = _command(op)
        app.command(op.name, cls=OpCommand, epilog=f"Example: tune {op.name} --shape {op.example}")(command)


def _command(op: Op) -> Any:
    options = [
        *op_options(op),
        option("device", str, "auto", DEVICE_HELP),
        option("template", list[str], [], "only this template; may be given several times"),
        option("trials", int, 200, "configs to try at most"),
        option("time", float, 120.0, "seconds to search at most", metavar="SECONDS"),
        *stop_options(),
        option("sampler", str, DEFAULT, f"how configs are chosen: {', '.join(SAMPLERS)}"),
        option("seed", int, 0, "of the search"),
        option("force", bool, False, "measure again, whatever is known"),
        switch("transfer", True, "start from results of near problems and devices"),
        option("allow_vendor", bool, False, "the vendor library may be the answer, where it is clearly faster"),
        option("server", str | None, None, "share with this server: what it knows, and every record", metavar="URL"),
        *answer_options(),
    ]
    doc = f"Tune {op.summary} for this machine: search, check, measure, remember."
    return with_signature(lambda values: _run(op, values), op.name, doc, options)


def _run(op: Op, values: Mapping[str, Any]) -> int:
    from ..backends.gpu_target import wake_driver

    if values["device"] != "cpu":
        wake_driver()  # first of all: the imports below take as long
    from .. import tuning
    from ..budget import Budget
    from ..stopping import StopRules
    from .progress import ProgressView
    from .result import print_json, print_report

    request = tuning.Request(
        op=op.name,
        fields=fields_of(op, values),
        device=values["device"],
        templates=tuple(values["template"]),
        budget=Budget(values["trials"], values["time"]),
        sampler=values["sampler"],
        seed=values["seed"],
        policy=values["policy"],
        force=values["force"],
        db_url=values["db"],
        transfer=values["transfer"],
        rules=StopRules(values["patience"], values["min_gain"], values["target_us"]),
        allow_vendor=values["allow_vendor"],
    )
    if values["min_gain"] is not None and not foretells(values["sampler"]):
        complain(f'note: "{values["sampler"]}" does not say what it expects to gain: --min-gain changes nothing')
    with ProgressView() as view:
        watch = tuning.Watch(view.started, view.trial)
        report = tuning.run(request, watch) if values["server"] is None else _shared(request, watch, values["server"])
    (print_json if values["json"] else print_report)(report)
    return INTERRUPTED if report.interrupted else 0


def _shared(request: Any, watch: Any, server_url: str) -> Any:
    """The report of a study that a server takes part in; what goes wrong with the server is said on stderr."""
    from .. import sharing
    from ..worker.news import News

    def tell(news: News) -> None:
        if sharing.is_trouble(news):
            complain(f"{server_url}: {sharing.words_of(news)}")

    return sharing.run(request, server_url, watch, tell)
