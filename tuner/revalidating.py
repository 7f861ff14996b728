"""Revalidation: after an upgrade, the old best few timed anew under the new key, for a small part of what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Literal

from ..cache.records import Policy, Record, RecordKey
from ..cache.store import Store
from ..cache.studies import Studies
from ..spaces.errors import DeviceError, NoFeasibleConfig, UsageError
from ..spaces.feasible import FeasibleSpace
from ..templates.catalogue import digests, op_named, ops, templates_named
from ..templates.template import KernelTemplate
from . import former, settings, study_logs, tuning, wiring
from .budget import Budget, Spending
from .former import Known
from .hosts import Host
from .lanes import Lane
from .samplers.given import GivenRows
from .study import Study

FRACTION = 0.05
"""Of what the search cost, that timing its best few anew may."""

AIM = 0.8
"""Of what it may take, that is planned with: the promise is to hold on a machine that does other work too."""

SEARCH_SHARE = 0.5
"""Of the time that is left once the first was timed, with the device open: for each alone. The playoff decides."""

LEAST_PLAYOFF_S = 0.5

AROUND_PLAYOFF_S = 0.25
"""What comes after a playoff: storing what it found, ending the measuring child."""

State = Literal["waiting", "exact", "renewed", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class RevalidateRequest:
    """What is to be timed anew, and how long that may take."""

    ops: tuple[str, ...] = ()  # all where none is named
    device: str = "auto"
    fraction: float = FRACTION  # of what each problem's search cost
    time_s: float | None = None  # for each problem, in place of the fraction
    best: int = 5
    force: bool = False  # also what is exact
    retune: bool = False  # search anew where the few leave doubts
    dry_run: bool = False
    seed: int = 0
    db_url: str | None = None

    def __post_init__(self) -> None:
        if self.best < 1 or not self.fraction > 0 or (self.time_s is not None and not self.time_s > 0):
            raise UsageError("--best takes at least 1, --fraction a share above 0 (0.05), --time seconds above 0.")


@dataclass
class Task:
    """One problem: what older tools found, and what came of timing it anew."""

    key: RecordKey
    before: Record  # the winner until now
    few: Sequence[Record]  # the best distinct configs of older tools that are feasible now
    cost_s: float | None  # of the search that made the answer; None where no study says
    budget_s: float
    state: State = "waiting"
    reason: str = ""  # why it failed
    best: Record | None = None
    seconds: float = 0.0
    doubts: tuple[str, ...] = ()  # why a search may find better
    retuned: bool = False


@dataclass(frozen=True, slots=True)
class RevalidateReport:
    """What came of a revalidation."""

    tasks: Sequence[Task]  # dearest first
    host: Host
    seconds: float
    interrupted: bool

    @property
    def advised(self) -> list[Task]:
        """Those for which a search is advised."""
        return [task for task in self.tasks if (task.doubts or task.state == "failed") and not task.retuned]


@dataclass(frozen=True, slots=True)
class RevalidateWatch:
    """What a face wants to hear meanwhile."""

    started: Callable[[Host, Sequence[Task]], None] = lambda host, tasks: None
    changed: Callable[[Task], None] = lambda task: None


def run(request: RevalidateRequest, watch: RevalidateWatch | None = None) -> RevalidateReport:
    """Time anew what older tools found on this device. Raises: UsageError, DeviceError, StoreError."""
    config = settings.read()
    for name in request.ops:
        op_named(name)
    with closing(wiring.open_host(request.device, config)) as host:
        store, studies = wiring.open_store_and_studies(config, request.db_url)
        with closing(store):
            return Revalidation(request, host, store, studies, watch or RevalidateWatch(), time.monotonic).run()


@dataclass
class Revalidation:
    """A running revalidation; `run` once."""

    request: RevalidateRequest
    host: Host
    store: Store
    studies: Studies
    watch: RevalidateWatch
    clock: Callable[[], float]
    _spaces: dict[tuple[str, str], FeasibleSpace | str] = field(default_factory=dict)  # by problem and template

    def run(self) -> RevalidateReport:
        """Every problem in turn; Ctrl-C ends it and keeps what is done."""
        started_s, interrupted = self.clock(), False
        tasks = sorted(self._tasks(), key=lambda task: (-(task.cost_s or 0.0), -(task.before.ranked_us or 0.0)))
        self.watch.started(self.host, tasks)
        try:
            if not self.request.dry_run:
                for task in tasks:
                    self._renew(task)
                for task in tasks if self.request.retune else ():
                    self._retune(task)
        except KeyboardInterrupt:
            interrupted = True
        return RevalidateReport(tasks, self.host, self.clock() - started_s, interrupted)

    def _tasks(self) -> Iterator[Task]:
        for name in self.request.ops or ops():
            winners = self.store.candidates(name)
            for known in former.known_of(self.host.target, winners, digests(name)):
                here = [record for record in winners if record.key == known.key]
                now = [record for record in here if record.template_digest == digests(name)[record.template]]
                yield self._task(known, former.is_exact(known, now) and not self.request.force)

    def _task(self, known: Known, exact: bool) -> Task:
        op = op_named(known.key.problem.op)
        key = replace(known.key, problem=op.with_facts(known.key.problem, self.host.target.kind))  # stores keep none
        keys = {record.key.digest: record.key for record in known.former}
        logs = [log for one in keys.values() for log in self.studies.studies(one)]
        cost_s = former.cost_s(logs, known.newest)
        share = self.request.fraction * (Budget().time_s if cost_s is None else cost_s)
        task = Task(key, known.newest, (), cost_s, self.request.time_s or share)
        if exact:
            task.state, task.best = "exact", known.now
            return task
        current = digests(op.name)
        histories = [
            [r for r in self.store.records(one) if one != known.key or r.template_digest != current.get(r.template)]
            for one in keys.values()
        ]
        task.few = former.best_few(histories, lambda record: self._fits(key, record), self.request.best)
        return task

    def _fits(self, key: RecordKey, record: Record) -> bool:
        """Whether a config can run now: its template is here, and has it for the problem."""
        if record.template not in digests(key.problem.op):
            return False
        feasible = self._space(key, self._template(record))
        return not isinstance(feasible, str) and record.config in feasible

    def _template(self, record: Record) -> KernelTemplate:
        return templates_named(record.key.problem.op, [record.template])[0]

    def _space(self, key: RecordKey, template: KernelTemplate) -> FeasibleSpace | str:
        named = (key.problem.digest, template.name)
        if named not in self._spaces:
            self._spaces[named] = tuning.offers([template], key.problem, self.host)[template]
        return self._spaces[named]

    def _renew(self, task: Task) -> None:
        """Check and time the few, then their playoff; the records belong to the present key."""
        if task.state != "waiting":
            return
        if not task.few:
            task.state, task.reason = "failed", "no config of older tools is feasible now"
            return self.watch.changed(task)
        begun_s = self.clock()
        try:
            tuning.check_memory(task.key.problem, self.host)
            study = self._studied(task, begun_s)
        except DeviceError as error:
            task.state, task.reason = "failed", str(error)
        except KeyboardInterrupt:
            task.state = "interrupted"
            raise
        else:
            task.best = study.best
            task.doubts = former.doubts(task.before, task.few, [*study.records, *study.played])
            task.state = "renewed" if study.best is not None else "failed"
            task.reason = "" if study.best is not None else "none of the old configs works any more"
        finally:
            task.seconds = self.clock() - begun_s
            self.watch.changed(task)

    def _studied(self, task: Task, begun_s: float) -> Study:
        """A study of the few, without a search; what it cost is kept, however it ended."""
        engine = self.host.engine(task.key.problem, task.key.policy)
        try:
            lanes = self._lanes(task)
            spending = Spending(Budget(1), self.clock)
            study = Study(task.key, lanes, engine, self.store, spending, tuning.this_user(), self.request.seed)
            try:
                study.search()
                end_s = begun_s + AIM * task.budget_s
                left_s = max(LEAST_PLAYOFF_S, end_s - self.clock())
                study.spending = Spending(
                    Budget(len(task.few), SEARCH_SHARE * left_s), self.clock, already=spending.trials
                )
                study.search()
                study.playoff_s = max(LEAST_PLAYOFF_S, end_s - self.clock() - AROUND_PLAYOFF_S)
                study.playoff()
            except KeyboardInterrupt:
                study.stopped = "interrupted"
                raise
            finally:
                seconds = self.clock() - begun_s
                log = study_logs.log_of(study, former.REVALIDATE, seconds, len(study.records))
                study_logs.keep(self.studies, log)
            return study
        finally:
            engine.close()

    def _lanes(self, task: Task) -> list[Lane]:
        """A lane for each template of the few, which has them as its seeds and asks for nothing else."""
        lanes = []
        for name in dict.fromkeys(record.template for record in task.few):
            seeds = tuple(record.config for record in task.few if record.template == name)
            (template,) = templates_named(task.key.problem.op, [name])
            feasible = self._space(task.key, template)
            assert not isinstance(feasible, str), "what does not fit is none of the few"
            lanes.append(Lane(template, feasible, GivenRows(), seeds))
        return lanes

    def _retune(self, task: Task) -> None:
        """Search anew where the few left doubts."""
        if not (task.doubts or task.state == "failed") or task.key.policy != self._plain_policy(task):
            return
        problem = task.key.problem
        begun_s = self.clock()
        request = tuning.Request(
            problem.op, dict(problem.fields), policy=task.key.policy.cache, force=True, seed=self.request.seed
        )
        try:
            report = tuning.run(request, host=self.host, store=self.store, studies=self.studies)
        except (DeviceError, NoFeasibleConfig) as error:
            task.reason = str(error)
        else:
            if report.interrupted:
                raise KeyboardInterrupt
            task.state, task.best, task.retuned = "renewed", report.record, True
        task.seconds += self.clock() - begun_s
        self.watch.changed(task)

    def _plain_policy(self, task: Task) -> Policy:
        return Policy.named(self.host.target.kind, task.key.policy.cache)
