"""Device: the port the measuring child works through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ...cache.records import Policy
from ...spaces.problems import Problem
from ...templates.op import Array, Buffer
from ..backends.artifact import Artifact
from .guards import GuardedSet
from .resting import Resting

Arrays = Mapping[str, Array]
Kernel = Callable[[Arrays], None]
"""Runs on the arrays by buffer name; may return before the work is done. Raises LaunchError, Faulted."""

Timer = Callable[[], list[float]]
"""Times one block of calls; µs per sample."""


class LaunchError(Exception):
    """The kernel could not be started: bad geometry, too many resources, no memory for its workspace."""


class Faulted(Exception):
    """A kernel broke the device's context: it failed, and nothing more can run in this process."""


class Strayed(Exception):
    """A kernel wrote outside its arrays: it is wrong, and nothing in this process can be trusted any more."""


class Device(Protocol):
    """One device of this process. Not thread-safe: one kernel runs at a time."""

    xp: Any  # array module: numpy, cupy
    cache_bytes: int  # of the last-level cache, which a cold measurement must outgrow
    rest: Resting  # before a block, so that its clock is its highest again
    pause_s: float  # between contenders, so that one's spinning threads do not run into the other

    def random(self, buffer: Buffer, seed: int) -> Array:
        """What the buffer says it holds, else fresh N(0,1) data (full range for integers), rounded to its dtype."""

    def empty(self, buffer: Buffer) -> Array:
        """An array of the buffer's shape and dtype, not initialised."""

    def poison(self, array: Array) -> None:
        """Fill with NaN (the smallest integer), so that what is not written shows."""

    def widen(self, array: Array, dtype: str) -> Array:
        """The array in a type `xp` computes with; bf16 lies in memory as bits."""

    def guarded(self, buffers: Sequence[Buffer]) -> GuardedSet:
        """Arrays of these buffers with guards around them, not initialised."""

    def prove(self) -> None:
        """Run a small kernel whose answer is known. Raises: DeviceError if it gives another."""

    def load(self, artifact: Artifact) -> Kernel:
        """A kernel of an artifact. Raises: LaunchError."""

    def vendors(self, problem: Problem) -> Mapping[str, Kernel]:
        """Ways of the vendor library's to compute a problem, by name; one may turn out not to run on its arrays."""

    def timer(self, kernel: Kernel, sets: Sequence[Arrays], calls: int, policy: Policy) -> Timer:
        """A timer of `calls` calls in a row that walk through `sets`."""

    def finish(self) -> None:
        """Wait for all work. Raises: Faulted if some of it failed."""
