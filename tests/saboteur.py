"""A study of 200 candidates, one in five of which is a faulty kernel: what must come of it on every device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from fakes import Clock
from kerntune.cache.memory import MemoryStore
from kerntune.cache.records import Failure, Incident, RecordKey
from kerntune.spaces.config import Config
from kerntune.templates.template import Candidate, KernelTemplate
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.budget import Budget, Spending
from kerntune.tuner.engine.engine import Compiled, Engine, Measured, PlayoffResult
from kerntune.tuner.lanes import Lane
from kerntune.tuner.samplers import make_sampler
from kerntune.tuner.study import Study

RIGHT = "right"
CANDIDATES = 200


class Saboteur:
    """An engine that measures, whatever the candidate, kernels of a plan: each fault in turn at every fifth."""

    def __init__(self, engine: Engine, kernels: Mapping[str, Artifact]) -> None:
        self._engine, self._kernels = engine, kernels
        self._faults = [name for name in kernels if name != RIGHT]
        self.workers, self.overlaps = engine.workers, engine.overlaps
        self.plan: dict[Config, str] = {}

    def submit(self, candidate: Candidate) -> Future[Compiled]:
        turn = len(self.plan)
        fault = self._faults[turn // 5 % len(self._faults)]
        name = self.plan.setdefault(candidate.config, fault if turn % 5 == 3 else RIGHT)
        done: Future[Compiled] = Future()
        done.set_result(self._kernels[name])
        return done

    def start(self, artifact: Artifact, seed: int, incumbent_us: float | None = None) -> Callable[[], Measured]:
        return self._engine.start(artifact, seed, incumbent_us)

    def measure(self, artifact: Artifact, seed: int) -> Measured:
        return self._engine.measure(artifact, seed)

    def playoff(
        self, artifacts: Mapping[str, Artifact], seed: int, rounds: int | None = None, time_s: float | None = None
    ) -> PlayoffResult | Failure | Incident:
        return self._engine.playoff(artifacts, seed, rounds, time_s)

    def close(self) -> None:
        """The engine is its owner's."""


def sabotaged(
    engine: Engine, key: RecordKey, template: KernelTemplate, kernels: Mapping[str, Artifact], kinds: Mapping[str, str]
) -> None:
    """Assert that no record is lost, that every fault has its kind, and that a right kernel wins."""
    feasible = template.feasible(key.problem, key.target)
    lanes = [Lane(template, feasible, make_sampler("random", feasible, seed=1), ())]
    store, saboteur = MemoryStore(), Saboteur(engine, kernels)
    study = Study(key, lanes, saboteur, store, Spending(Budget(CANDIDATES, 1e9), Clock()), "me@here", seed=1)

    best = study.run()

    tried = {record.config: record for record in store.records(key) if record.phase == "search"}
    assert len(tried) == len(study.records) == CANDIDATES
    assert Counter(saboteur.plan[config] == RIGHT for config in tried) == {True: 160, False: 40}
    expected = {RIGHT: "measured", **kinds}
    for config, record in tried.items():
        failure = record.outcome if isinstance(record.outcome, Failure) else None
        assert (failure.kind if failure else "measured") == expected[saboteur.plan[config]], failure
    assert best is not None
    assert saboteur.plan[best.config] == RIGHT
    assert best.phase == "playoff", store._incidents
