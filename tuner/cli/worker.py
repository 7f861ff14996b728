"""`tune worker --server URL`: run the studies that a server wants."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from .flags import DEVICE_HELP

if TYPE_CHECKING:
    from ..worker.pauses import StopSign

_SERVER = "address of the server, http:// or https:// [env KERNTUNE_SERVER]"
_DB = "SQLAlchemy URL of this machine's own database [env KERNTUNE_DB]"


def worker(
    server: Annotated[str | None, typer.Option(metavar="URL", help=_SERVER)] = None,
    device: Annotated[str, typer.Option(help=DEVICE_HELP)] = "auto",
    name: Annotated[str | None, typer.Option(help="what the server calls this worker [user@machine]")] = None,
    once: Annotated[bool, typer.Option("--once", help="run one job, or none where none is queued, and end")] = False,
    db: Annotated[str | None, typer.Option(metavar="URL", help=_DB)] = None,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object a line on standard output")] = False,
) -> int:
    """Claim jobs of a server, tune them on this device, and send every record back; a key goes in KERNTUNE_API_KEY."""
    from ...cache.http_client import goes_in_the_clear
    from ...spaces.errors import UsageError
    from .. import settings
    from ..backends.gpu_target import wake_driver
    from .exits import INTERRUPTED, complain

    config = settings.read()
    url = server or config.server_url
    if url is None:
        raise UsageError("a worker works for a server: name it by --server URL or KERNTUNE_SERVER.")
    if config.api_key is not None and goes_in_the_clear(url):
        complain(f"warning: {url} is not https, so the API key travels in the clear: anyone on the way can read it.")
    if device != "cpu":
        wake_driver()
    from ..tuning import this_user
    from ..worker.pauses import StopSign
    from ..worker.terms import Terms
    from ..worker.working import Place, work
    from .worker_view import WorkerView

    stop = StopSign()
    with _signals_to(stop):
        work(Place(url, device, db), Terms(name or this_user(), once), config, stop, WorkerView(as_json=json_).tell)
    return INTERRUPTED if stop.is_up else 0


@contextmanager
def _signals_to(stop: StopSign) -> Iterator[None]:
    """Ctrl-C and SIGTERM end what is measured and then the worker; the second one ends it at once."""

    def ask(_signal: int, _frame: FrameType | None) -> None:
        stop.ask()
        if stop.at_once:
            raise KeyboardInterrupt

    before = {one: signal.signal(one, ask) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
