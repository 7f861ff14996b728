"""The study: one search for one problem on one target within one budget, in one go or in slices.

It asks samplers for configs, has them compiled and measured, and stores each result while the device measures the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, islice

from ..cache.records import Failure, Incident, Measurement, Phase, Record, RecordKey
from ..cache.store import Store
from ..spaces.config import Config
from ..spaces.errors import DeviceError
from ..templates.template import Candidate, KernelTemplate
from .backends.artifact import Artifact
from .budget import Spending
from .engine.engine import Compiled, Engine
from .finalists import finalists, rank
from .lanes import Lane, Pick, picks
from .samplers.sampler import expected_gain
from .stopping import Stop, StopRules, Watcher, gain_over
from .trials import Trial
from .verdicts import baseline_of, judge

Outcome = Measurement | Failure | Incident

INCIDENTS_IN_A_ROW = 3
"""So many troubles of the machine with no result between them end the study."""

COMPILED_AHEAD = 3
"""Candidates asked for ahead of the one that is measured, by compiler: one in work, one done for when it is needed, and
one for each that compiles long. More would be chosen with less known."""


@dataclass(frozen=True, slots=True)
class Compiling:
    """A config on its way to the device."""

    pick: Pick
    candidate: Candidate
    result: Future[Compiled]
    again: bool = False  # the machine was at fault the first time


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a config, not stored yet."""

    made: Compiling
    outcome: Outcome


@dataclass
class Study:
    """A running search; `know` what is stored, then `run` once.

    Or in slices: `search` as often as there is something to spend, each with an `engine` and a `spending` of its own
    where the caller sets them, then `playoff`.
    """

    key: RecordKey
    lanes: Sequence[Lane]
    engine: Engine
    store: Store
    spending: Spending
    recorded_by: str
    seed: int
    on_trial: Callable[[Trial], None] = lambda trial: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    rules: StopRules = field(default_factory=StopRules)
    records: list[Record] = field(default_factory=list)
    stopped: Stop | None = None  # why the latest search ended
    best: Record | None = None
    played: Sequence[Record] = ()  # of the playoff
    playoff_s: float | None = None  # most that it may take; None: as long as is usual
    _measured: int = 0
    _incidents_in_a_row: int = 0

    def __post_init__(self) -> None:
        self._watcher = Watcher(self.rules)
        self._lane_best_us = {lane.template.digest: math.inf for lane in self.lanes}
        self._waiting = picks(self.lanes, self._lane_best_us)

    @property
    def interrupted(self) -> bool:
        return self.stopped == "interrupted"

    def know(self, records: Sequence[Record]) -> None:
        """Take over what an earlier run of this study stored; each config counts as tried."""
        known = {(r.template_digest, r.config.digest): r for r in records if r.phase == "search"}.values()
        for lane in self.lanes:
            own = [record for record in known if record.template_digest == lane.template.digest]
            for record, row in zip(own, lane.feasible.find_all(record.config for record in own), strict=True):
                if row is not None:
                    self._learn(Pick(lane, row), record)

    def run(self) -> Record | None:
        """Search until the budget is spent, then the playoff; the winner, or the best so far if interrupted.

        Raises: DeviceError after three incidents in a row, StoreError if a result cannot be stored.
        """
        try:
            self.search()
            self.playoff()
        except KeyboardInterrupt:
            self.stopped = "interrupted"
        return self.best

    def expected_gain(self) -> float | None:
        """By how much the samplers expect to beat the best, as a share of it; None where one cannot say."""
        if self.best is None or self.best.measurement is None:
            return None
        own = ((expected_gain(lane.sampler), self._lane_best_us[lane.template.digest]) for lane in self.lanes)
        return gain_over(self.best.measurement.median_us, own)

    def search(self) -> Stop:
        """Search until something ends it, and say what.

        While the device is at one candidate, the one before is stored and others are chosen and compiled.
        Raises: DeviceError after three incidents in a row, StoreError; KeyboardInterrupt, with all that is known kept.
        """
        waiting = self._waiting
        compiling: list[Compiling] = []
        tried: Tried | None = None
        try:
            self._submit(waiting, compiling)
            while compiling and self._end() is None:
                made = _ready(compiling)
                begun = self._start(made)
                if tried is not None:
                    before, tried = tried, None
                    self._settle(before, compiling)
                self._submit(waiting, compiling, in_flight=1)
                tried = Tried(made, begun())
                if not (self.engine.overlaps and compiling) or self._end(pending=1) is not None:
                    before, tried = tried, None
                    self._settle(before, compiling)
                    self._submit(waiting, compiling)
        finally:
            if tried is not None:
                self._settle(tried, compiling)
            for left in compiling:
                left.result.cancel()
            if compiling:  # claimed, so that nobody proposes them again: the next slice begins with them
                self._waiting = chain([left.pick for left in compiling], waiting)
        self.stopped = self._end() or "exhausted"
        return self.stopped

    def _end(self, pending: int = 0) -> Stop | None:
        """What ends the search now, or once `pending` trials are counted."""
        return self._watcher.reason or self.spending.end(pending)

    def _submit(self, waiting: Iterator[Pick], compiling: list[Compiling], in_flight: int = 0) -> None:
        """Keep every compiler busy; where compiling would disturb the measuring, a batch is made and waited for."""
        if self._end(in_flight) is not None or ((compiling or in_flight) and not self.engine.overlaps):
            return
        ahead = self.engine.workers * (COMPILED_AHEAD if self.engine.overlaps else 1)
        for pick in islice(waiting, max(0, min(ahead, self.spending.trials_left - in_flight) - len(compiling))):
            candidate = self._candidate(pick)
            compiling.append(Compiling(pick, candidate, self.engine.submit(candidate)))
        if not self.engine.overlaps:
            wait([made.result for made in compiling])

    def _start(self, made: Compiling) -> Callable[[], Outcome]:
        """Begin to measure a candidate; the call waits for what comes of it."""
        compiled = made.result.result()
        if not isinstance(compiled, Artifact):
            return lambda: compiled
        self._measured += 1
        incumbent_us = None if self.best is None else self.best.ranked_us
        return self.engine.start(compiled, self.seed + self._measured, incumbent_us)

    def _settle(self, tried: Tried, compiling: list[Compiling]) -> None:
        """Store what came of a candidate; if the machine was at fault, try it once more, next."""
        made, outcome = tried.made, tried.outcome
        if isinstance(outcome, Incident):
            self._note(outcome)
            if not made.again:
                compiling.insert(0, replace(made, result=self.engine.submit(made.candidate), again=True))
            return
        self._incidents_in_a_row = 0
        record = self._record(made.pick.lane.template, made.pick.config, outcome)
        self.store.add(record)
        self._learn(made.pick, record)
        self.on_trial(Trial(record, self.best))

    def playoff(self) -> None:
        """Time the best few, the default and the vendor library interleaved; the winner is the best from then on.

        Nothing is timed where no config ran.
        """
        if self.best is None:
            return
        by_template = {lane.template.digest: lane for lane in self.lanes}
        met = {str(place): record for place, record in enumerate(finalists(self.records, self.lanes))}
        configs = [(by_template[record.template_digest], record.config) for record in met.values()]
        compiling = [self.engine.submit(self._candidate(Pick(lane, lane.feasible.index(c)))) for lane, c in configs]
        compiled = zip(met, [made.result() for made in compiling], strict=True)
        artifacts = {name: made for name, made in compiled if isinstance(made, Artifact)}
        if not artifacts:
            return
        result = self.engine.playoff(artifacts, self.seed, time_s=self.playoff_s)
        if isinstance(result, Failure | Incident):
            self.store.add_incident(self.key, Incident("playoff", result.reason))
            return
        won, verdict = judge(result, {name: (r.config, r.template_digest) for name, r in met.items()})
        played = {}
        for name in sorted(result.measurements, key=lambda name: name != won):  # the winner first: a kill loses others
            template = by_template[met[name].template_digest].template
            record = self._record(template, met[name].config, result.measurements[name], "playoff")
            played[name] = replace(record, baseline=baseline_of(result, name), verdict=verdict if name == won else None)
            self.store.add(played[name])
        self.best, self.played = played[won], tuple(played.values())

    def _learn(self, pick: Pick, record: Record) -> None:
        self.records.append(record)
        self.spending.trials += 1
        measurement = record.measurement
        pick.lane.sampler.tell(pick.row, None if measurement is None else measurement.median_us)
        if measurement is not None:
            lane = pick.lane.template.digest
            self._lane_best_us[lane] = min(self._lane_best_us[lane], measurement.median_us)
            if self.best is None or rank(record) < rank(self.best):
                self.best = record
        best = None if self.best is None else self.best.measurement
        self._watcher.tried(None if best is None else best.median_us)
        if self.rules.min_gain is not None:
            self._watcher.expects(self.expected_gain())

    def _note(self, incident: Incident) -> None:
        self.store.add_incident(self.key, incident)
        self._incidents_in_a_row += 1
        if self._incidents_in_a_row >= INCIDENTS_IN_A_ROW:
            raise DeviceError(
                f"{INCIDENTS_IN_A_ROW} troubles of the machine in a row, the last: {incident.kind}: {incident.reason}. "
                "What was measured is kept; run the same command again once the machine is well."
            )

    def _candidate(self, pick: Pick) -> Candidate:
        return pick.lane.template.candidate(pick.lane.feasible, self.key.problem, self.key.target, pick.config)

    def _record(
        self,
        template: KernelTemplate,
        config: Config,
        outcome: Measurement | Failure,
        phase: Phase = "search",
    ) -> Record:
        return Record(
            key=self.key,
            template=template.name,
            template_digest=template.digest,
            space_digest=template.space.digest,
            config=config,
            outcome=outcome,
            recorded_at=self.now(),
            recorded_by=self.recorded_by,
            phase=phase,
        )


def _ready(compiling: list[Compiling]) -> Compiling:
    """The first chosen of those that are compiled, taken out: one that compiles long holds up no other."""
    wait([made.result for made in compiling], return_when=FIRST_COMPLETED)
    place = next(place for place, made in enumerate(compiling) if made.result.done())
    return compiling.pop(place)
