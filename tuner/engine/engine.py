"""Engine: the port through which a study compiles and measures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ...cache.records import Baseline, Failure, Incident, Measurement
from ...templates.template import Candidate
from ..backends.artifact import Artifact

Compiled = Artifact | Failure | Incident
Measured = Measurement | Failure | Incident


@dataclass(frozen=True, slots=True)
class PlayoffResult:
    """Times of one interleaved run, by contender, and the vendor library's, where there is one."""

    measurements: Mapping[str, Measurement]
    baseline: Baseline | None


class Engine(Protocol):
    """Compile and measure tasks of one problem on one device. Called from one thread; owns its processes.

    Faults of a config come back as Failure, faults of the machine as Incident; neither is raised.
    """

    workers: int  # candidates worth compiling at once

    def compile(self, candidates: Sequence[Candidate]) -> Iterator[Compiled]:
        """Compile side by side; outcomes in the order of the candidates."""

    def measure(self, artifact: Artifact, seed: int) -> Measured:
        """Check on fresh inputs, then time. Tried twice before a time-out is the config's own."""

    def playoff(self, artifacts: Mapping[str, Artifact], seed: int) -> PlayoffResult | Failure | Incident:
        """Time contenders and the vendor library interleaved."""

    def close(self) -> None:
        """End every process and remove every file. Idempotent."""
