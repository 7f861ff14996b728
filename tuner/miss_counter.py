"""MissCounter: misses are counted in memory, and written down beside those who meet them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event, Lock, Thread

from ..spaces.errors import StoreError
from .lookup import Query

EVERY_S = 1.0
MOST_QUERIES = 10_000


class MissCounter:
    """Counts queries that had no answer, and tells `write` of them every second.

    A lookup waits for nothing here, and sees no error: while `write` raises StoreError the counts stay, and where
    there are more than `most` different queries the oldest are dropped. Safe to call from several threads.
    """

    def __init__(
        self, write: Callable[[Mapping[Query, int]], None], every_s: float = EVERY_S, most: int = MOST_QUERIES
    ) -> None:
        self._write, self._every_s, self._most = write, every_s, most
        self._counts: dict[Query, int] = {}
        self._lock = Lock()  # of the counts
        self._writing = Lock()
        self._stop = Event()
        self._thread: Thread | None = None
        self.dropped = 0  # queries that were counted and never written

    def note(self, query: Query) -> None:
        """Count a miss."""
        with self._lock:
            self._counts[query] = self._counts.get(query, 0) + 1
            self._trim()
            if self._thread is None and not self._stop.is_set():  # begun in a server's own process, after any fork
                self._thread = Thread(target=self._run, name="kerntune-misses", daemon=True)
                self._thread.start()

    def flush(self) -> bool:
        """Write what is counted; whether that went well."""
        with self._writing:
            with self._lock:
                counts, self._counts = self._counts, {}
            try:
                if counts:
                    self._write(counts)
            except StoreError:  # whoever asks for an answer or a job is told so
                self._put_back(counts)
                return False
            return True

    def close(self) -> None:
        """Write what is left, and stop. Idempotent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.flush()

    def _put_back(self, counts: dict[Query, int]) -> None:
        with self._lock:
            for query, count in self._counts.items():
                counts[query] = counts.get(query, 0) + count
            self._counts = counts
            self._trim()

    def _trim(self) -> None:
        while len(self._counts) > self._most:
            del self._counts[next(iter(self._counts))]
            self.dropped += 1
