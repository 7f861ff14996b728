"""Fragile: calls to a server that may be dead, so that whoever makes them is neither broken nor held up."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TypeVar

from ..spaces.errors import KerntuneError, NetworkError

FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 60.0

T = TypeVar("T")


class Fragile:
    """Calls one server, and leaves it alone for a while after it failed: 5 s, then twice as long, up to a minute.

    A call takes `timeout_s` at most, whatever hangs (name resolution and dripping responses too): it runs in a thread
    of its own, which is left behind.
    """

    def __init__(self, timeout_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._timeout_s, self._now_s = timeout_s, now_s
        self._pause_s = FIRST_PAUSE_S
        self._quiet_until_s = float("-inf")
        self._lock = Lock()

    @property
    def is_quiet(self) -> bool:
        """Whether it failed a moment ago, and is not to be asked now."""
        return self._now_s() < self._quiet_until_s

    def call(self, ask: Callable[[], T], otherwise: T, forgives: type[KerntuneError] = NetworkError) -> tuple[T, bool]:
        """What it says, and whether it said anything; an error that is forgiven is a warning, and `otherwise`.

        Raises: KerntuneErrors of other kinds.
        """
        if self.is_quiet:
            return otherwise, False
        said: SimpleQueue[tuple[T | None, KerntuneError | None]] = SimpleQueue()
        Thread(target=_run, args=(ask, said), name="kerntune-server", daemon=True).start()
        try:
            value, error = said.get(timeout=self._timeout_s)
        except Empty:
            value, error = None, NetworkError(f"no answer from the server within {self._timeout_s:g} s")
        with self._lock:
            if error is None:
                self._pause_s = FIRST_PAUSE_S
                return value, True  # type: ignore[return-value]  # no error: it is a T
            if not isinstance(error, forgives):
                raise error
            pause_s, self._quiet_until_s = self._pause_s, self._now_s() + self._pause_s
            self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        warnings.warn(f"kerntune: {error} It is not asked again for {pause_s:g} s.", RuntimeWarning, stacklevel=5)
        return otherwise, False


def _run(ask: Callable[[], T], said: SimpleQueue[tuple[T | None, KerntuneError | None]]) -> None:
    try:
        said.put((ask(), None))
    except KerntuneError as error:
        said.put((None, error))
