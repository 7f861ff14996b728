"""Working: what a worker needs is opened, and closed again whatever happens."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass

from ...cache.spool import folder_for
from ...spaces.errors import NoCompiler
from .. import wiring
from ..hosts import Host
from ..settings import Settings
from .news import News, Tell
from .outage import Outage
from .pauses import StopSign
from .sender import Sender
from .spools import own_spool, take_over
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
    server = wiring.open_remote_jobs(config, place.server_url)
    with ExitStack() as opened:
        host = host or opened.enter_context(closing(wiring.open_host(place.device, config)))
        if "compiler" in host.notes:
            raise NoCompiler(host.notes["compiler"])
        store, studies = wiring.open_store_and_studies(config, place.db_url)
        opened.callback(store.close)
        records = opened.enter_context(closing(wiring.open_remote_store(config, place.server_url)))
        folder = folder_for(config.cache_dir, place.server_url)
        spool = opened.enter_context(closing(own_spool(folder)))
        take_over(folder, spool)
        for words in (*spool.damage, *host.notes.values()):
            tell(News("warning", None, {"reason": words}))
        outage = Outage(tell)
        sender = opened.enter_context(closing(Sender(spool, server, tell, outage)))
        about = {"worker": terms.name, "server": server.url, "device": host.target.name}
        tell(News("started", None, {**about, "backends": sorted(host.backends), "waiting": spool.waiting}))
        sender.start()
        try:
            Worker(terms, host, server, records, store, studies, spool, sender, outage, stop, tell).run()
        finally:
            sender.drain(terms.flush_s, lambda: stop.at_once)
            tell(News("stopped", None, {"waiting": sender.waiting}))
