"""Polled: a value that takes a while to read, read beside those who want it."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread

from ..spaces.errors import StoreError

EVERY_S = 0.05
FRESH_S = 1.0


class Polled:
    """What `read` said last, at most `every_s` ago; None where it failed, or has not come back for `fresh_s`.

    PostgreSQL takes half a millisecond to say what state it is in, and seconds when it is gone: a server's event loop
    waits for neither. So an answer may be as old as one poll takes and `every_s` more.
    """

    def __init__(self, read: Callable[[], str], every_s: float = EVERY_S, fresh_s: float = FRESH_S) -> None:
        self._read, self._every_s, self._fresh_s = read, every_s, fresh_s
        self._said: tuple[float, str] | None = None
        self._stop = Event()
        self._thread: Thread | None = None

    def __call__(self) -> str | None:
        if self._thread is None:  # begun by the first who asks: a server's own process, after any fork
            self._thread = Thread(target=self._poll, name="kerntune-state", daemon=True)
            self._thread.start()
        said = self._said
        return said[1] if said is not None and time.monotonic() - said[0] < self._fresh_s else None

    def close(self) -> None:
        """Stop reading. Idempotent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(self._fresh_s)

    def _poll(self) -> None:
        while not self._stop.is_set():
            begun_s = time.monotonic()  # what was committed before is in what is read
            try:
                self._said = begun_s, self._read()
            except StoreError:
                self._said = None
            self._stop.wait(self._every_s)
