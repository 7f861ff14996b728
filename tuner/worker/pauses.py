"""Pauses: how long to wait before the next try, and who may cut a wait short."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

SLICE_S = 0.05
"""A signal's handler may take no lock, so whoever waits looks this often."""


class Pauses:
    """Growing pauses: each twice the last up to a bound, and up to half of it less, so that no crowd comes at once."""

    def __init__(self, first_s: float, most_s: float, share: Callable[[], float] = random.random) -> None:
        self._first_s, self._most_s, self._share = first_s, most_s, share
        self._now_s = first_s

    @property
    def is_first(self) -> bool:
        """Whether nothing was waited for yet, or not since `reset`."""
        return self._now_s == self._first_s

    def next_s(self) -> float:
        pause_s = self._now_s * (1 - self._share() / 2)
        self._now_s = min(self._most_s, 2 * self._now_s)
        return pause_s

    def reset(self) -> None:
        """Begin with the shortest again."""
        self._now_s = self._first_s


class StopSign:
    """Asks a worker to end. `ask` takes no lock: it is for signal handlers too."""

    def __init__(self) -> None:
        self.asked_s: float | None = None  # when, by the monotonic clock
        self.at_once = False  # asked a second time: even what is being measured is let go of

    @property
    def is_up(self) -> bool:
        return self.asked_s is not None

    def ask(self) -> None:
        """End in good order; asked again, at once."""
        if self.asked_s is None:
            self.asked_s = time.monotonic()
        else:
            self.at_once = True

    def wait(self, most_s: float, until: Callable[[], bool] = lambda: False) -> None:
        """Wait, at most so long: until something is so, or the sign goes up."""
        end_s = time.monotonic() + most_s
        while not self.is_up and not until() and (left_s := end_s - time.monotonic()) > 0:
            time.sleep(min(SLICE_S, left_s))
