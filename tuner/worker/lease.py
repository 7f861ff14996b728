"""Lease: a thread that keeps a claimed job ours, and hears when it is not any more."""

from __future__ import annotations

import threading
from types import TracebackType

from ...cache.outcomes import LeaseEnded, Refused
from ...cache.remote_jobs import Beat, Claimed, RemoteJobs
from .news import News, Tell

LEASE_S = 60.0
BEAT_S = 15.0
"""Four beats to a lease: one that is lost, or slow, costs nothing."""

SOON_S = 2.0
"""After a beat that got no answer."""


class Lease:
    """Beats from entry to exit. A server that gives no answer ends nothing: the lease holds until somebody says no."""

    def __init__(
        self, server: RemoteJobs, claimed: Claimed, tell: Tell, lease_s: float = LEASE_S, beat_s: float = BEAT_S
    ) -> None:
        self._server, self._claimed, self._tell = server, claimed, tell
        self._lease_s, self._beat_s = lease_s, beat_s
        self._wake, self._leaving = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="kerntune lease", daemon=True)
        self.over: str | None = None  # why the job is not ours any more

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._leaving.set()
        self._wake.set()
        self._thread.join()

    def ask(self) -> None:
        """Beat now: somebody heard that the job is not ours."""
        self._wake.set()

    def _run(self) -> None:
        pause_s = self._beat_s
        while self.over is None:
            self._wake.wait(pause_s)
            self._wake.clear()
            if self._leaving.is_set():
                return
            said = self._server.heartbeat(self._claimed, self._lease_s)
            if isinstance(said, Beat):
                pause_s = self._beat_s
                self.over = "nobody wants it any more: it was cancelled" if said.cancel else None
            elif isinstance(said, LeaseEnded):
                self.over = said.reason
            else:
                pause_s = min(SOON_S, self._beat_s)
                if isinstance(said, Refused):
                    self._tell(News("warning", self._claimed.id, {"reason": f"a heartbeat was refused: {said.reason}"}))
                    pause_s = self._beat_s
