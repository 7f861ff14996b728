"""Office: all through which this machine deals with one server. Opened together, closed together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from ...cache.records import Record, RecordKey
from ...cache.remote_jobs import RemoteJobs
from ...cache.spool import Spool, folder_for
from ...cache.store import Store
from ...cache.studies import Studies
from ...spaces.errors import NetworkError, UsageError
from .. import wiring
from ..record_checks import RecordChecks
from ..settings import Settings
from .job_store import JobStore
from .news import News, Tell
from .outage import Outage
from .sender import Sender
from .spools import own_spool, take_over


@dataclass(frozen=True, slots=True)
class Office:
    """What is known here and there, and the way from here to there."""

    server: RemoteJobs
    records: Store  # of the server
    store: Store  # of this machine
    studies: Studies  # what its searches cost
    spool: Spool
    sender: Sender  # of that spool; its owner starts it
    outage: Outage
    tell: Tell

    def store_for(self, key: RecordKey) -> JobStore:
        """The store of one study: begun with what the server knows of its key, and told what this machine knows."""
        store = JobStore(self.store, self.spool, self._known_there(key), self.sender.wake)
        store.send_what_is_known(key)
        return store

    def _known_there(self, key: RecordKey) -> Sequence[Record]:
        """The server's records of a key, as far as they can be read and are sound."""
        checks = RecordChecks()
        try:
            return [record for record in self.records.records(key) if checks.record(record) is None]
        except (NetworkError, UsageError) as error:
            self.tell(News("warning", None, {"reason": f"begun without what the server knows of it: {error}"}))
            return []


@contextmanager
def opened_office(config: Settings, server_url: str, db_url: str | None, tell: Tell) -> Iterator[Office]:
    """Open all of it. What an earlier run left in a spool is taken over. Raises: UsageError, StoreError."""
    server = wiring.open_remote_jobs(config, server_url)
    with ExitStack() as opened:
        store, studies = wiring.open_store_and_studies(config, db_url)
        opened.callback(store.close)
        records = opened.enter_context(closing(wiring.open_remote_store(config, server_url)))
        folder = folder_for(config.cache_dir, server_url)
        spool = opened.enter_context(closing(own_spool(folder)))
        take_over(folder, spool)
        for words in spool.damage:
            tell(News("warning", None, {"reason": words}))
        outage = Outage(tell)
        sender = opened.enter_context(closing(Sender(spool, server, tell, outage)))
        yield Office(server, records, store, studies, spool, sender, outage, tell)
