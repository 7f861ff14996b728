"""Sender: a thread that brings what lies in the spool to the server, in order, however long the server is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from itertools import takewhile

from ...cache.outcomes import Failed, LeaseEnded, Refused, Taken, Unreachable
from ...cache.remote_jobs import RemoteJobs, Uploaded
from ...cache.spool import Entry, Spool
from ...cache.wire_records import MOST_PER_UPLOAD
from ...spaces.canonical import digest
from ...spaces.errors import StoreError, UsageError
from .job_store import INCIDENT, RECORD
from .news import News, Tell
from .outage import Outage
from .pauses import SLICE_S, Pauses

GATHER_S = 0.1
"""What is appended within it goes together."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0

LOOK_S = 1.0


class Sender:
    """Sends until it is closed. An entry is let go of once the server has it, or will never have it.

    The second kind is set aside with its reason. All methods may be called from any thread.
    """

    def __init__(
        self, spool: Spool, server: RemoteJobs, tell: Tell, outage: Outage, pauses: Pauses | None = None
    ) -> None:
        self._spool, self._server, self._tell, self._outage = spool, server, tell, outage
        self._pauses = pauses or Pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._more, self._closing = threading.Event(), threading.Event()
        self._most = MOST_PER_UPLOAD  # entries in the next upload: fewer where the last was too much for the server
        self._broken: StoreError | None = None
        self._trouble: Unreachable | Refused | None = None
        self.refused: dict[str, str] = {}  # digest of a record's JSON -> why no server wants it
        self._thread = threading.Thread(target=self._run, name="kerntune sender", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something was appended."""
        self._more.set()

    @property
    def waiting(self) -> int:
        return self._spool.waiting

    @property
    def is_drained(self) -> bool:
        """Whether all that was appended is with the server."""
        return self.waiting == 0

    def check(self) -> None:
        """Raises: StoreError where the spool cannot be read any more, UsageError where the key is not taken."""
        if self._broken is not None:
            raise self._broken
        if not self._thread.is_alive():
            raise RuntimeError("the thread that sends records has ended: the traceback above says why")
        if isinstance(self._trouble, Refused):
            raise UsageError(
                f"{self._server.url} does not take records by this key: {self._trouble.reason} A worker needs one with "
                f"the scope `record` (KERNTUNE_API_KEY). {self.left_words}"
            )

    @property
    def left_words(self) -> str:
        return f"Records left on disk: {self.waiting:,}; the next worker on this machine sends them first."

    def drain(self, within_s: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Wait, at most so long or until something is so; whether all is with the server."""
        end_s = time.monotonic() + within_s
        while not self.is_drained and self._thread.is_alive() and not until() and time.monotonic() < end_s:
            time.sleep(SLICE_S)
        return self.is_drained

    def close(self) -> None:
        """Stop after what is being sent; what is left stays in the spool. Idempotent."""
        self._closing.set()
        self._more.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                batch = _alike(self._spool.pending(self._most))
                if not batch:
                    self._more.wait(LOOK_S)
                    self._more.clear()
                    self._closing.wait(GATHER_S)
                elif (failed := self._send(batch)) is not None:
                    self._note(failed)
                    self._closing.wait(self._pauses.next_s())
        except StoreError as error:
            self._broken = error

    def _send(self, batch: Sequence[Entry]) -> Unreachable | Refused | None:
        """Bring a batch there; why it was not taken, where another try may help."""
        said = self._said_to(batch)
        if isinstance(said, Unreachable) or (isinstance(said, Refused) and said.is_of_the_key):
            self._most = max(1, len(batch) // 2)  # it may have taken longer than is waited for
            return said
        self._welcome()
        if isinstance(said, Refused | LeaseEnded):
            self._judge(batch, said.reason)
            return None
        refused = said.refused if isinstance(said, Uploaded) else ()
        for place, reason in refused:
            if place < len(batch):
                self._set_aside(batch[place], reason)
        self._spool.acknowledge(batch[-1].number)
        self._most = min(MOST_PER_UPLOAD, 2 * self._most)
        name = "records" if RECORD in batch[0].data else "incidents"
        self._tell(News("uploaded", None, {name: len(batch) - len(refused), "waiting": self.waiting}))
        return None

    def _said_to(self, batch: Sequence[Entry]) -> Uploaded | Taken | Failed:
        first = batch[0].data
        if INCIDENT in first:
            return self._server.report_incident(first[INCIDENT])
        if RECORD in first:
            return self._server.upload([entry.data[RECORD] for entry in batch])
        return Refused(422, f"it is neither a {RECORD} nor an {INCIDENT}")

    def _judge(self, batch: Sequence[Entry], reason: str) -> None:
        """Of what is refused as a whole the first half is tried alone; one entry that is refused alone is set aside."""
        if len(batch) > 1:
            self._most = len(batch) // 2
        else:
            self._set_aside(batch[0], reason)
            self._spool.acknowledge(batch[0].number)

    def _set_aside(self, entry: Entry, reason: str) -> None:
        self._spool.set_aside(entry, reason)
        if RECORD in entry.data:
            self.refused[digest(entry.data[RECORD])] = reason
        self._tell(News("refused", None, {"reason": reason}))

    def _note(self, failed: Unreachable | Refused) -> None:
        self._trouble = failed
        self._outage.no_answer(failed.reason, self.waiting)

    def _welcome(self) -> None:
        self._trouble = None
        self._pauses.reset()
        self._outage.answer(self.waiting)


def _alike(entries: Sequence[Entry]) -> list[Entry]:
    """The first entry, and where it is a record all up to the next that is none."""
    records = list(takewhile(lambda entry: RECORD in entry.data, entries))
    return records or list(entries[:1])
