"""Engine: the port through which a study compiles and measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from ...cache.records import Baseline, Failure, Incident, Measurement
from ...templates.template import Candidate
from ..backends.artifact import Artifact

Compiled = Artifact | Failure | Incident
Measured = Measurement | Failure | Incident


@dataclass(frozen=True, slots=True)
class VendorTimes:
    """One way of the vendor library's to compute the problem, timed with the contenders."""

    name: str
    samples_us: tuple[float, ...]
    rounds_us: tuple[float, ...]  # as of contenders
    fault: str | None = None  # what is wrong with its numbers


@dataclass(frozen=True, slots=True)
class PlayoffResult:
    """Times of one interleaved run, by contender, and the vendor library's, where there is one."""

    measurements: Mapping[str, Measurement]
    rounds_us: Mapping[str, tuple[float, ...]]  # median of each round; entry n of every contender is of one moment
    vendors: tuple[VendorTimes, ...] = ()  # fastest first
    left_out: Mapping[str, str] = field(default_factory=dict)  # ways of the vendor's that do not run, and why

    @property
    def baseline(self) -> Baseline | None:
        """The fastest way of the vendor's."""
        return Baseline(self.vendors[0].name, self.vendors[0].samples_us) if self.vendors else None


class Engine(Protocol):
    """Compile and measure tasks of one problem on one device. Called from one thread; owns its processes.

    Faults of a config come back as Failure, faults of the machine as Incident; neither is raised.
    """

    workers: int  # candidates compiled at once
    overlaps: bool  # whether compiling leaves a measurement alone: it does not on the processor that is measured

    def submit(self, candidate: Candidate) -> Future[Compiled]:
        """Compile as soon as a worker is free, in the order of the calls."""

    def start(self, artifact: Artifact, seed: int, incumbent_us: float | None = None) -> Callable[[], Measured]:
        """Begin to check on fresh inputs and to time; what comes back is called once, before the next, and waits.

        Nothing begins before that call on a processor, where what the caller does meanwhile would disturb it. Tried
        twice before a time-out is the config's own. A candidate clearly slower than `incumbent_us` may be timed less.
        """

    def measure(self, artifact: Artifact, seed: int) -> Measured:
        """Start, and wait."""

    def playoff(
        self, artifacts: Mapping[str, Artifact], seed: int, rounds: int | None = None, time_s: float | None = None
    ) -> PlayoffResult | Failure | Incident:
        """Time contenders and the vendor library interleaved: until all is settled, or for so many rounds.

        `time_s`: most that all of it may take, once there are a few rounds; None: rounds take as long as is usual.
        """

    def close(self) -> None:
        """End every process and remove every file. Idempotent."""
