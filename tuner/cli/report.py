"""`tune report`: what a study tried, what came of it, which parameters mattered, and what decided."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from ...templates.catalogue import ops
from ...templates.op import Op
from .flags import DEVICE_HELP, OpCommand, answer_options, as_asked, fields_of, op_options, option, with_signature

if TYPE_CHECKING:
    from ...cache.records import Record, RecordKey
    from ...cache.store import Store
    from ..study_report import StudyReport

BY_DIGEST = "DIGEST"
_HEX = re.compile(r"[0-9a-f]{1,32}")
_EXAMPLE = "Example: tune report gemm --shape 1024x1024x1024   or   tune report 19b840 --picture report.html"


class _OpOrDigest(TyperGroup):
    """`tune report 19b840` is `tune report DIGEST 19b840`: what names no op names a study."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and "--help" not in args[:1] and not self.commands.keys() & set(args):
            if not args[0].startswith("-"):
                _check_digest(args[0])  # else an op that is misspelt is told that a digest has no --shape
            args = [BY_DIGEST, *args]
        rest: list[str] = super().parse_args(ctx, args)
        return rest


def report_group() -> typer.Typer:
    """`tune report` with one command per op, and one that takes a digest."""
    group = typer.Typer(
        cls=_OpOrDigest,
        help="A study: best so far, failures, which parameters mattered, what decided. Of an op, or by DIGEST.",
        epilog=_EXAMPLE,
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for op in ops().values():
        group.command(op.name, cls=OpCommand, epilog=f"Example: tune report {op.name} --shape {op.example}")(_of_op(op))
    group.command(BY_DIGEST, epilog="Example: tune report 19b840 --json")(_by_digest())
    return group


def _shown_options() -> list[Any]:
    picture = "draw it into this .html (one file, no network) or .json (plotly's)"
    return [option("picture", Path | None, None, picture, metavar="FILE")]


def _of_op(op: Op) -> Any:
    options = [*op_options(op), option("device", str, "auto", DEVICE_HELP), *answer_options(), *_shown_options()]
    doc = f"What was tried for {op.summary} here. Measures nothing."
    return with_signature(lambda values: _run(values, lambda store: _here(op, values, store)), op.name, doc, options)


def _by_digest() -> Any:
    from inspect import Parameter

    help = "of a study's best config, or of its key: the first digits are enough"
    digest = Parameter(
        "digest",
        Parameter.KEYWORD_ONLY,
        default=typer.Argument(..., metavar="DIGEST", help=help, show_default=False),
        annotation=str,
    )
    words = [parameter for parameter in answer_options() if parameter.name != "policy"]
    doc = "The study that a digest names, of any machine the database knows."
    return with_signature(
        lambda values: _run(values, lambda store: _named(values["digest"], store)),
        "report",
        doc,
        [digest, *words, *_shown_options()],
    )


def _run(values: Mapping[str, Any], find: Any) -> None:
    picture: Path | None = values["picture"]
    if picture is not None:
        from ..pictures import check_picture_file

        check_picture_file(picture)
    from .. import settings, wiring
    from ..reporting import report_of

    store = wiring.open_store(settings.read(), values["db"])
    try:
        key, records = find(store)
    finally:
        store.close()
    report = report_of(key, records)
    if values["json"]:
        from .report_json import as_json

        print(json.dumps(as_json(report), allow_nan=False))  # noqa: T201 -- the command's own answer
    else:
        from .report_tables import print_study

        print_study(report)
    if picture is not None:
        _draw(report, picture)


def _draw(report: StudyReport, path: Path) -> None:
    from ..pictures import write
    from ..report_picture import picture

    write(picture(report), path)


def _named(digest: str, store: Store) -> tuple[RecordKey, Sequence[Record]]:
    """The study of a digest. Raises: UsageError, NoAnswer."""
    from ..backends.stored import study_named

    best = study_named(store, _check_digest(digest))
    return best.key, store.records(best.key)


def _check_digest(digest: str) -> str:
    """The digest in small letters. Raises: UsageError."""
    from ...spaces.errors import UsageError

    if not _HEX.fullmatch(digest.lower()):
        raise UsageError(
            f'"{digest}" is neither an op ({", ".join(ops())}) nor a digest, which is up to 32 of 0-9 and a-f. '
            f"{_EXAMPLE}"
        )
    return digest.lower()


def _here(op: Op, values: Mapping[str, Any], store: Store) -> tuple[RecordKey, Sequence[Record]]:
    """The study of a problem on this machine's device. Raises: UsageError, DeviceError, NoAnswer."""
    from ...cache.records import Policy, RecordKey
    from ...spaces.errors import NoAnswer
    from .. import settings, wiring
    from ..lookup import Query, explain_miss
    from .words import name_of

    host = wiring.open_host(values["device"], settings.read())
    problem = op.problem(host.target.kind, **fields_of(op, values))
    key = RecordKey(problem, host.target, Policy.named(host.target.kind, values["policy"]))
    records = store.records(key)
    if not records:
        near = store.candidates(op.name, problem.digest) or store.candidates(op.name)
        misses = explain_miss(Query(problem, key.policy, host.target), near)
        nearest = f" The nearest study differs in: {'; '.join(misses)}." if misses else ""
        raise NoAnswer(
            f"nothing was tried for {name_of(problem)} on {host.target.name}.{nearest} "
            f"Tune it: tune {op.name} {as_asked(op, values)}"
        )
    return key, records
