"""EventStream: a thread that tells a server how its job goes, in order, as well as can be."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from ...cache.jobs import EventKind, Happening
from ...cache.outcomes import LeaseEnded, Refused, Unreachable
from ...cache.remote_jobs import Claimed, RemoteJobs
from .news import News, Tell

EVERY_S = 0.5

MOST_AT_ONCE = 200

MOST_HELD = 10_000
"""While the server is away; beyond, the oldest are let go of: the records say the same."""


class EventStream:
    """Tells from entry to exit. Records are what counts; events are for those who watch."""

    def __init__(
        self,
        server: RemoteJobs,
        claimed: Claimed,
        tell: Tell,
        on_lease_ended: Callable[[], None] = lambda: None,
        every_s: float = EVERY_S,
    ) -> None:
        self._server, self._claimed, self._tell = server, claimed, tell
        self._on_lease_ended, self._every_s = on_lease_ended, every_s
        self._held: deque[Happening] = deque(maxlen=MOST_HELD)
        self._guard, self._leaving = threading.Lock(), threading.Event()
        self._sending = threading.Lock()
        self._deaf = False
        self._thread = threading.Thread(target=self._run, name="kerntune events", daemon=True)

    def __enter__(self) -> EventStream:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._leaving.set()
        self._thread.join()

    def happened(self, kind: EventKind, data: Mapping[str, Any]) -> None:
        """Tell it within half a second or so."""
        with self._guard:
            self._held.append(Happening(kind, data))

    def flush(self) -> None:
        """Tell what is held, as far as the server listens."""
        with self._sending:
            while not self._deaf and (batch := self._oldest()) and self._told(batch):
                pass

    def _run(self) -> None:
        while not self._leaving.wait(self._every_s):
            self.flush()

    def _oldest(self) -> list[Happening]:
        with self._guard:
            return [self._held.popleft() for _ in range(min(MOST_AT_ONCE, len(self._held)))]

    def _told(self, batch: list[Happening]) -> bool:
        said = self._server.add_events(self._claimed, batch)
        if isinstance(said, Unreachable):
            with self._guard:
                room = MOST_HELD - len(self._held)
                self._held.extendleft(reversed(batch[max(0, len(batch) - room) :]))
            return False
        if isinstance(said, Refused):
            self._deaf = True
            self._tell(News("warning", self._claimed.id, {"reason": f"events are not taken: {said.reason}"}))
        if isinstance(said, LeaseEnded):
            self._deaf = True
            self._on_lease_ended()
        return not self._deaf
