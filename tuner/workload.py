"""A workload: many problems tuned under one time budget, slice by slice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from ..cache.records import Policy, Record, RecordKey
from ..cache.store import Store
from ..cache.studies import Studies
from ..spaces.errors import DeviceError, NoFeasibleConfig, UsageError
from ..spaces.targets import DeviceKind
from ..templates.catalogue import templates_named
from . import settings, study_logs, tuning, wiring
from .budget import Budget, Spending
from .hosts import Host
from .lanes import Lane
from .samplers import DEFAULT, check_name
from .schedule import LEAST_SWITCHES, PATIENCE, next_slice
from .standings import mean_or, standings
from .stopping import StopRules
from .study import Study
from .tasks import Moment, Task, WorkloadReport
from .trials import Trial
from .workload_file import Weighted

SWITCH_S = {"cpu": 0.3, "gpu": 1.5}
"""Opening a child process with its inputs, before one was seen."""

PLAYOFF_S = 4.0
"""What a playoff takes, before one was held."""

RESERVE_SHARE = 0.5
"""Most of the budget that is kept for playoffs."""

OVERRUN_SHARE = 0.05
"""Most of the budget by which playoffs may exceed it, where the last slice took longer than planned."""

SLACK = 2.0
"""Times as long as planned that a slice may take: its pace is a guess at first."""


@dataclass(frozen=True, slots=True)
class WorkloadRequest:
    """What is to be tuned, within which time."""

    problems: Callable[[DeviceKind], Sequence[Weighted]]
    time_s: float
    device: str = "auto"
    templates: tuple[str, ...] = ()
    sampler: str = DEFAULT
    seed: int = 0
    policy: str = "cold"
    force: bool = False
    db_url: str | None = None
    transfer: bool = True
    patience: int = PATIENCE

    def __post_init__(self) -> None:
        if not self.time_s > 0:
            raise UsageError(f"a workload of {self.time_s} s holds nothing: name the seconds it may take (--time 600).")


@dataclass(frozen=True, slots=True)
class WorkloadWatch:
    """What a face wants to hear while a workload runs."""

    started: Callable[[Workload], None] = lambda workload: None
    changed: Callable[[Task], None] = lambda task: None


def run(request: WorkloadRequest, watch: WorkloadWatch | None = None) -> WorkloadReport:
    """Tune the problems of a workload; what the store has answers at once, or is gone on from.

    Raises: UsageError, NoFeasibleConfig where nothing can be computed here, DeviceError, StoreError.
    """
    config = settings.read()
    check_name(request.sampler)
    StopRules(patience=request.patience)
    with closing(wiring.open_host(request.device, config)) as host:  # its compilers stay warm between slices
        problems = request.problems(host.target.kind)
        store, studies = wiring.open_store_and_studies(config, request.db_url)
        with closing(store):
            workload = Workload(request, problems, host, store, watch or WorkloadWatch(), time.monotonic, studies)
            workload.run()
    if all(task.state == "failed" for task in workload.tasks):
        raise NoFeasibleConfig("; ".join(dict.fromkeys(task.reason for task in workload.tasks)))
    return workload.report()


@dataclass
class Workload:
    """A running workload; `run` once."""

    request: WorkloadRequest
    problems: Sequence[Weighted]
    host: Host
    store: Store
    watch: WorkloadWatch
    clock: Callable[[], float]
    studies: Studies | None = None  # where it is kept what each problem cost
    interrupted: bool = False
    moments: list[Moment] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._started_s = self.clock()
        self._openings_s: list[float] = []
        self._playoffs_s: list[float] = []
        policy = Policy.named(self.host.target.kind, self.request.policy)
        self.tasks = [Task(RecordKey(one.problem, self.host.target, policy), one.weight) for one in self.problems]

    def run(self) -> None:
        """Search until all have converged, or there is only time left for the playoffs; then those."""
        try:
            for task in self.tasks:
                self._recall(task)
            self.watch.started(self)
            least_s = 0.0
            while self._search(least_s):  # again, where playoffs took less than was kept for them
                self._settle_what_was_cut()
                least_s = LEAST_SWITCHES * self._switch_s
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            self._keep_costs()
        for task in self.tasks:
            if task.is_open:
                task.state = "waiting" if task.best_us is None else "cut"

    def _keep_costs(self) -> None:
        """Keep what each problem cost that was searched, as one study."""
        for task in self.tasks:
            if task.study is not None and task.slices_s:
                if self.interrupted:
                    task.study.stopped = "interrupted"
                seconds = task.search_s + task.playoff_s
                log = study_logs.log_of(task.study, self.request.sampler, seconds, task.trials)
                study_logs.keep(self.studies, log)

    def report(self) -> WorkloadReport:
        """What came of it so far."""
        words = (self.host, self.request.time_s, self.elapsed_s, self.interrupted)
        return WorkloadReport(self.tasks, self.moments, *words)

    @property
    def elapsed_s(self) -> float:
        return self.clock() - self._started_s

    @property
    def left_s(self) -> float:
        return self.request.time_s - self.elapsed_s

    @property
    def _switch_s(self) -> float:
        return mean_or(SWITCH_S[self.host.target.kind], self._openings_s)

    @property
    def _playoff_s(self) -> float:
        return mean_or(PLAYOFF_S, self._playoffs_s)

    @property
    def _reserve_s(self) -> float:
        """What the playoffs will take of what was searched since its last one, and of one more."""
        return min((1 + len(self._unsettled)) * self._playoff_s, RESERVE_SHARE * self.request.time_s)

    @property
    def _unsettled(self) -> list[Task]:
        """Those with a best that met nobody yet."""
        return [task for task in self.tasks if task.is_open and task.best_us is not None and not task.is_settled]

    def _search(self, least_s: float) -> bool:
        """Slice by slice, until all have converged or beside playoffs only `least_s` is left; whether there was any."""
        searched = False
        while going := [task for task in self.tasks if task.is_open]:
            left_s = self.left_s - self._reserve_s
            if left_s <= least_s:
                break
            self._go_on(going, left_s)
            searched = True
        return searched

    def _recall(self, task: Task) -> None:
        """Take what the store has: an answer, or records to go on from."""
        digests = [template.digest for template in templates_named(task.problem.op, self.request.templates)]
        task.best = self.store.best(task.key, digests)
        if not self.request.force:
            task.recalled = [record for record in self.store.records(task.key) if record.template_digest in digests]
            task.state = "known" if task.is_settled else "waiting"

    def _go_on(self, going: Sequence[Task], left_s: float) -> None:
        """The slice that promises most; what has converged then is settled at once."""
        planned = next_slice(standings(going, self.tasks), self._switch_s, left_s)
        at_most = Budget(planned.trials, min(left_s, SLACK * planned.planned_s))
        task = going[planned.place]
        try:
            with self._opened(task) as study:
                if self._slice(task, study, at_most):
                    self.watch.changed(task)
                    self._playoff(task, study)
                    task.state = "converged" if task.best is not None else "failed"
                    task.reason = "" if task.best is not None else "no config of it worked"
        except (NoFeasibleConfig, _TooLarge) as error:
            task.state, task.reason = "failed", str(error)
        self.watch.changed(task)

    @contextmanager
    def _opened(self, task: Task) -> Iterator[Study]:
        """The problem's study with the device open for it: one child process at a time.

        Raises: NoFeasibleConfig, _TooLarge.
        """
        lanes = [] if task.study else self._lanes(task)
        try:
            tuning.check_memory(task.problem, self.host)
        except DeviceError as error:
            raise _TooLarge(str(error)) from None
        engine = self.host.engine(task.problem, task.key.policy)
        try:
            if task.study is None:
                task.study = Study(
                    *(task.key, lanes, engine, self.store, Spending(Budget(), self.clock), tuning.this_user()),
                    seed=self.request.seed,
                    on_trial=lambda trial: self._tried(task, trial),
                    rules=StopRules(patience=self.request.patience),
                )
                task.study.know(task.recalled)
                task.best = task.study.best
            task.state, task.study.engine = "searching", engine
            yield task.study
        finally:
            engine.close()

    def _lanes(self, task: Task) -> list[Lane]:
        asked = self.request
        templates = templates_named(task.problem.op, asked.templates)
        spaces = tuning.feasible_spaces(templates, task.problem, self.host)
        words = tuning.Request(
            task.problem.op, {}, sampler=asked.sampler, seed=asked.seed, transfer=asked.transfer, force=asked.force
        )
        return tuning.lanes_of(words, task.key, spaces, task.best, self.store)

    def _slice(self, task: Task, study: Study, budget: Budget) -> bool:
        """Search for a while; whether the problem has converged."""
        begun_s, before = self.elapsed_s, task.trials
        task.slices_s.append((begun_s, begun_s))
        study.spending = Spending(budget, self.clock)
        try:
            stopped = study.search()
        finally:
            first_s = task.slices_s[-1][1] - begun_s  # `_tried` moved the end to the first trial's
            task.slices_s[-1] = (begun_s, self.elapsed_s)
            made = task.trials - before
            if made > 1:
                opening_s = max(0.0, first_s - (self.elapsed_s - begun_s - first_s) / (made - 1))
                self._openings_s.append(opening_s)
                task.opening_s += opening_s
        return stopped in ("patience", "exhausted")

    def _tried(self, task: Task, trial: Trial) -> None:
        task.trials += 1
        begun_s, end_s = task.slices_s[-1]
        if begun_s == end_s:
            task.slices_s[-1] = (begun_s, self.elapsed_s)
        self._note(task, trial.best)

    def _note(self, task: Task, best: Record | None) -> None:
        """The best so far; a moment if that is news."""
        if best is not task.best:
            task.best = best
            if task.best_us is not None:
                self.moments.append(Moment(self.elapsed_s, self.tasks.index(task), task.best_us))
        self.watch.changed(task)

    def _playoff(self, task: Task, study: Study) -> None:
        if task.best is None:
            return
        begun_s = self.elapsed_s
        try:
            study.playoff()
        finally:
            task.playoffs_s.append((begun_s, self.elapsed_s))
        self._playoffs_s.append(self.elapsed_s - begun_s)
        self._note(task, study.best)

    def _settle_what_was_cut(self) -> None:
        """Playoffs of those with a best that met nobody, the largest weighted time first, while there is time."""
        for task in sorted(self._unsettled, key=lambda task: -task.weight * (task.best_us or 0)):
            if self.left_s + OVERRUN_SHARE * self.request.time_s < self._playoff_s / 2:
                return
            with self._opened(task) as study:
                self._playoff(task, study)
            task.state = "cut"
            self.watch.changed(task)


class _TooLarge(Exception):
    """A problem that does not fit the device's memory."""
