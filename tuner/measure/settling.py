"""Settling: the clock of a GPU follows the power that a kernel draws, some 60 ms behind. A time counts once it has.

Where the card runs into its power limit, a kernel takes 202 µs after rivals that draw little, and 226 by itself (4096³
bf16, H200, docs/measured_facts.md): before its clock has settled, a time is a fact about the company it kept.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from .device import Timer

SETTLED_WITHIN = 0.003
"""Two blocks a step apart whose medians differ by no more, as a part of them, are at the same clock."""

STEP_S = 0.02
"""A third of the time in which what is left of a drift falls to 37 %: over less, a drift looks like none."""


def settled(
    timer: Timer, settling_s: float, is_enough: Callable[[Sequence[float]], bool] = lambda samples: False
) -> list[float]:
    """Samples of the first block that took as long as one a step before it, or of the last that `settling_s` allows.

    Those before it are not kept. `is_enough` ends it too: what a block says may be clear whatever the clock does.
    """
    start_s = time.monotonic()
    seen: list[tuple[float, float]] = []  # when each block ended, and its median
    while True:
        samples = timer()
        now_s, median = time.monotonic(), statistics.median(samples)
        earlier = next((us for at_s, us in reversed(seen) if now_s - at_s >= STEP_S), None)
        steady = earlier is not None and abs(median / earlier - 1) <= SETTLED_WITHIN
        if steady or now_s - start_s >= settling_s or is_enough(samples):
            return samples
        seen.append((now_s, median))
