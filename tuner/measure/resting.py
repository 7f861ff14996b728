"""Resting: a GPU that has just worked hard is slowed down by its power limit; rested, it runs at its own highest clock.

Without rests a time is a fact about the company a kernel kept: at 4096³ in bf16 one took from 202 to 232 µs on an H200,
whose clock swings by itself too. After rests it takes 192.5 to 193.2, in every process (docs/measured_facts.md).
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

REST_PER_LOAD = 4.0
"""Times as long as a block ran, the device rests: at a fifth of its full power no limit is met."""

LONGEST_REST_S = 0.25

TIRED_FACTOR = 1.3
"""The most that a kernel takes longer on a device that had no rest: 1.21 was seen at 4096³ (H200, 2026-11-23)."""

RESTED_WITHIN = 0.003
"""A block that is faster than the one before by more says that the device was still tired."""


@dataclass(slots=True)
class Resting:
    """The rests of one device: each block is made up for before the next, whoever's that was."""

    rest_s: float  # the shortest; 0 where a time does not depend on the load before
    _load_s: float = 0.0  # how long the last block took
    _ended_s: float = -math.inf

    @property
    def due_s(self) -> float:
        """How much longer the device should rest now."""
        if not self.rest_s:
            return 0.0
        owed_s = min(max(self.rest_s, REST_PER_LOAD * self._load_s), LONGEST_REST_S)
        return max(0.0, self._ended_s + owed_s - time.monotonic())

    def first(
        self, timer: Callable[[], list[float]], says_enough: Callable[[Sequence[float], float], bool]
    ) -> list[float]:
        """Samples of a first block that does not wait, and of those after it until one is no faster than the last.

        Slower blocks before it are not kept. `says_enough` (samples, how much too long they may be) may end it at once.
        """
        factor = TIRED_FACTOR if self.due_s else 1.0
        samples = self._run(timer)
        if not self.rest_s or says_enough(samples, factor):
            return samples
        while True:
            more = self.block(timer)
            if statistics.median(more) >= (1 - RESTED_WITHIN) * statistics.median(samples):
                return samples + more
            samples = more

    def block(self, timer: Callable[[], list[float]]) -> list[float]:
        """Samples of one block, on a rested device."""
        if due_s := self.due_s:
            time.sleep(due_s)
        return self._run(timer)

    def _run(self, timer: Callable[[], list[float]]) -> list[float]:
        start_s = time.monotonic()
        samples = timer()
        self._ended_s = time.monotonic()
        self._load_s = self._ended_s - start_s
        return samples
