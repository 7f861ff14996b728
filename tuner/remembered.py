"""Remembered: answers this process has been given, for a moment or for as long as nothing was recorded since."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from ..cache.records import Answer

RECHECK_S = 1.0
"""How long an answer of the local database is given again without asking whether anything was committed since."""

REMOTE_S = 60.0
"""How long a server's answer is given again; a miss is asked again after MISS_S."""

MISS_S = 10.0

MOST = 10_000
"""Questions remembered at once; beyond that the oldest goes."""


@dataclass(slots=True)
class Held:
    """An answer (None: nothing is known), and how long it holds."""

    answer: Answer | None
    good_until_s: float  # without any question
    expires_s: float  # a server's word; never, where no server had a part in it
    still_holds: Callable[[], bool]


class Remembered:
    """Answers by the words they were asked for with. Safe to call from several threads: a race asks twice."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._held: dict[Hashable, Held] = {}

    def get(self, words: Hashable) -> Held | None:
        """The answer to these words, if it still holds. One dict look-up where it was looked at a moment ago."""
        held = self._held.get(words)
        if held is None:
            return None
        now_s = self._now_s()
        if now_s < held.good_until_s:
            return held
        if now_s >= held.expires_s or not held.still_holds():
            return None
        held.good_until_s = min(now_s + RECHECK_S, held.expires_s)
        return held

    def last(self, words: Hashable) -> Held | None:
        """The last answer to these words, however old: better than none where a server is away."""
        return self._held.get(words)

    def put(
        self, words: Hashable, answer: Answer | None, still_holds: Callable[[], bool], by_server: bool = False
    ) -> None:
        """Keep an answer. `still_holds` is asked each RECHECK_S: whether what it was made of is what it was."""
        now_s = self._now_s()
        expires_s = now_s + (MISS_S if answer is None else REMOTE_S) if by_server else float("inf")
        self._held.pop(words, None)
        self._held[words] = Held(answer, min(now_s + RECHECK_S, expires_s), expires_s, still_holds)
        while len(self._held) > MOST:
            self._held.pop(next(iter(self._held)), None)

    def forget(self) -> None:
        """Everything: something was tuned here, or the settings changed."""
        self._held.clear()
