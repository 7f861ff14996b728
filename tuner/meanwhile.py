"""Meanwhile: the best answer there is for those who wait for a job."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from ..cache.records import Answer
from ..cache.store import Store
from . import answering
from .lookup import Query

FRESH_S = 1.0
MOST_REMEMBERED = 1000


class Meanwhile:
    """Answers of a store, near ones among them. Safe to call from several threads.

    A near answer takes a quarter of a second to reckon where much is known: of many who wait for one job it is
    reckoned for the first, and once a second. Answers of the problem itself are always fresh.
    """

    def __init__(self, store: Store, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock_s = clock_s
        self._lock = Lock()
        self._held: dict[Query, tuple[float, Answer | None]] = {}

    def __call__(self, query: Query) -> Answer | None:
        """The best answer known, however near. Raises: StoreError."""
        return answering.answer(self._store, query, "stale") or self._near(query)

    def _near(self, query: Query) -> Answer | None:
        with self._lock:
            reckoned_s, answer = self._held.pop(query, (None, None))
            if reckoned_s is None or self._clock_s() - reckoned_s >= FRESH_S:
                reckoned_s, answer = self._clock_s(), answering.answer(self._store, query, "near")
            self._held[query] = reckoned_s, answer
            if len(self._held) > MOST_REMEMBERED:
                del self._held[next(iter(self._held))]
            return answer
