"""Working: what a worker needs is opened, and closed again whatever happens."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass

from ...spaces.errors import NoCompiler
from .. import wiring
from ..hosts import Host
from ..settings import Settings
from .news import News, Tell
from .office import opened_office
from .pauses import StopSign
from .terms import Terms
from .worker import Worker


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker works, and for whom."""

    server_url: str
    device: str = "auto"
    db_url: str | None = None


def work(
    place: Place,
    terms: Terms,
    config: Settings,
    stop: StopSign,
    tell: Tell,
    host: Host | None = None,
) -> None:
    """Work for a server until asked to stop, or for one job. What an earlier worker left is sent first.

    A `host` that is handed in stays open. Raises: UsageError, NetworkError, DeviceError, StoreError.
    """
    with ExitStack() as opened:
        host = host or opened.enter_context(closing(wiring.open_host(place.device, config)))
        if "compiler" in host.notes:
            raise NoCompiler(host.notes["compiler"])
        office = opened.enter_context(opened_office(config, place.server_url, place.db_url, tell))
        for words in host.notes.values():
            tell(News("warning", None, {"reason": words}))
        about = {"worker": terms.name, "server": office.server.url, "device": host.target.name}
        tell(News("started", None, {**about, "backends": sorted(host.backends), "waiting": office.spool.waiting}))
        office.sender.start()
        try:
            Worker(terms, host, office, stop, tell).run()
        finally:
            office.sender.drain(terms.flush_s, lambda: stop.at_once)
            tell(News("stopped", None, {"waiting": office.sender.waiting}))
