"""Fakes of the ports: they do what they are told, at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from kerntune.cache.records import Failure, Incident, Measurement
from kerntune.spaces.config import Config
from kerntune.templates.template import Candidate
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.engine.engine import Compiled, Measured, PlayoffResult, VendorTimes

Judge = Callable[[Config], float | Failure | Incident]


class FakeEngine:
    """Measures by a function of the config; the artifact's path carries which candidate it is."""

    def __init__(self, judge: Judge, workers: int = 2, interrupt_at: int | None = None, overlaps: bool = True) -> None:
        self.judge, self.workers, self.interrupt_at, self.overlaps = judge, workers, interrupt_at, overlaps
        self.candidates: list[Candidate] = []
        self.measured: list[Config] = []
        self.log: list[str] = []
        self.closed = False
        self.vendors: list[tuple[str, float, str | None]] = [("fake vendor", 100.0, None)]  # name, µs, fault

    def submit(self, candidate: Candidate) -> Future[Compiled]:
        self.candidates.append(candidate)
        made: Future[Compiled] = Future()
        made.set_result(Artifact("fake", Path(str(len(self.candidates) - 1)), candidate.launch))
        self.log.append("compile")
        return made

    def start(self, artifact: Artifact, seed: int, incumbent_us: float | None = None) -> Callable[[], Measured]:
        return partial(self._measured, self._config(artifact))

    def measure(self, artifact: Artifact, seed: int) -> Measured:
        return self.start(artifact, seed)()

    def _measured(self, config: Config) -> Measured:
        if self.interrupt_at is not None and len(self.measured) == self.interrupt_at:
            raise KeyboardInterrupt
        self.measured.append(config)
        self.log.append("measure")
        verdict = self.judge(config)
        return Measurement((verdict,)) if isinstance(verdict, float) else verdict

    def playoff(
        self, artifacts: Mapping[str, Artifact], seed: int, rounds: int | None = None, time_s: float | None = None
    ) -> PlayoffResult:
        self.log.append("playoff" if time_s is None else f"playoff of {time_s:.3g} s")
        times = {name: self.judge(self._config(artifact)) for name, artifact in artifacts.items()}
        measured = {name: Measurement((us, us)) for name, us in times.items() if isinstance(us, float)}
        count = rounds or 2
        taken = {name: (us,) * count for name, us in times.items() if isinstance(us, float)}
        vendors = [VendorTimes(name, (us,), (us,) * count, fault) for name, us, fault in self.vendors]
        return PlayoffResult(measured, taken, tuple(vendors), {"refuses": "RuntimeError: not here"})

    def close(self) -> None:
        self.closed = True

    def _config(self, artifact: Artifact) -> Config:
        return self.candidates[int(artifact.path.name)].config


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s
