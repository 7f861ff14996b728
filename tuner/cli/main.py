"""`tune`: the command line. Heavy imports live inside the commands, so that `tune --help` answers at once."""

from __future__ import annotations

import sys

import typer

from . import exits
from .bench import bench_group
from .diff import diff
from .doctor import doctor
from .exchange import export_records, import_records
from .gc import gc
from .generations import generations_group
from .keys import keys_group
from .list import list_known
from .lookup import lookup_group
from .replay import replay
from .report import report_group
from .revalidate import revalidate
from .serve import serve
from .show import show
from .spaces import spaces_group
from .tune import add_tuning_commands
from .worker import worker
from .workload import workload


def make_app() -> typer.Typer:
    """The app with every command; those of the ops are made from their descriptions."""
    app = typer.Typer(
        name="tune",
        help="Find the fastest kernel for your problem, measured on your device and remembered.",
        epilog="Example: tune gemm --shape 1024x1024x1024",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # rich would triple the time of --help
        pretty_exceptions_enable=False,
    )
    add_tuning_commands(app)
    app.add_typer(lookup_group(), name="lookup")
    app.add_typer(bench_group(), name="bench")
    app.add_typer(spaces_group(), name="spaces")
    app.command(epilog="Example: tune workload model.jsonl --time 600")(workload)
    app.command("list", epilog="Example: tune list gemm --device H200")(list_known)
    app.add_typer(generations_group(), name="generations")
    app.command("export", epilog="Example: tune export facts.jsonl.gz --op gemm")(export_records)
    app.command("import", epilog="Example: tune import facts.jsonl.gz --dry-run")(import_records)
    app.add_typer(report_group(), name="report")
    app.command(epilog="Example: tune show 19b840 --source")(show)
    app.command(epilog="Example: tune diff 19b840 77ac01")(diff)
    app.command(epilog="Example: tune gc --older-than 90d --dry-run")(gc)
    app.command(epilog="Example: tune revalidate gemm --dry-run")(revalidate)
    app.command(epilog="Example: tune replay HEADER.json --sampler tpe --trials 200 --seeds 20")(replay)
    app.command(epilog="Example: tune serve --port 8420")(serve)
    app.add_typer(keys_group(), name="keys")
    app.command(epilog="Example: tune worker --server https://tuner.example")(worker)
    app.command(epilog="Example: tune doctor")(doctor)
    return app


def main() -> None:
    """Entry point of the console script: run a command, and end with the exit code its outcome has."""
    sys.excepthook = exits.report_bug
    command = typer.main.get_command(make_app())  # called itself, the app would set a hook of its own
    sys.exit(exits.guarded(command))
