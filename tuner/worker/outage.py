"""Outage: says that a server is away, and that it is back, each as often as a person wants to hear it."""

from __future__ import annotations

import threading
import time

from .news import News, Tell

SAY_EVERY_S = 30.0


class Outage:
    """Whoever asks the server says what came of it. Safe to call from several threads."""

    def __init__(self, tell: Tell, say_every_s: float = SAY_EVERY_S) -> None:
        self._tell, self._say_every_s = tell, say_every_s
        self._guard = threading.Lock()
        self._said_s: float | None = None
        self.reason = "the server did not answer in time."  # of the latest call without an answer

    @property
    def is_on(self) -> bool:
        """Whether the latest call got no answer."""
        return self._said_s is not None

    def no_answer(self, reason: str, waiting: int) -> None:
        """A call got none, with so many entries that wait."""
        now_s = time.monotonic()
        with self._guard:
            self.reason = reason
            is_news = self._said_s is None or now_s - self._said_s >= self._say_every_s
            if is_news:
                self._said_s = now_s
        if is_news:
            self._tell(News("waiting", None, {"waiting": waiting, "reason": reason}))

    def answer(self, waiting: int) -> None:
        """A call got one."""
        with self._guard:
            was_away, self._said_s = self._said_s is not None, None
        if was_away:
            self._tell(News("back", None, {"waiting": waiting}))
