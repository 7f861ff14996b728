"""Tuning: a request answered from the store, or by a study that goes on from what the store knows."""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

from ..cache.records import Answer, Measurement, Policy, Record, RecordKey
from ..cache.store import Store
from ..cache.studies import Studies
from ..spaces.errors import DeviceError, NoFeasibleConfig
from ..spaces.feasible import FeasibleSpace
from ..spaces.problems import Problem
from ..templates.catalogue import op_named, templates_named
from ..templates.template import KernelTemplate
from . import lookup as ranking
from . import settings, study_logs, transfer, wiring
from .budget import Budget, Spending
from .hosts import Host
from .lanes import Lane
from .measure.readings import warnings
from .samplers import DEFAULT, check_name, make_sampler
from .stopping import Stop, StopRules
from .study import Study
from .trials import Counts, Trial
from .vendor_answer import vendor_answer


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be tuned, and how."""

    op: str
    fields: Mapping[str, Any]  # dims and fields of the op
    device: str = "auto"
    templates: tuple[str, ...] = ()
    budget: Budget = field(default_factory=Budget)
    sampler: str = DEFAULT
    seed: int = 0
    policy: str = "cold"
    force: bool = False
    db_url: str | None = None
    transfer: bool = True  # start from results of near problems and devices
    rules: StopRules = field(default_factory=StopRules)
    allow_vendor: bool = False  # the vendor library may be the answer


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a request: the winner, and how it was found."""

    record: Record  # our own best
    answer: Answer  # of that record, unless the vendor's library may answer and is faster
    counts: Counts
    spaces: Mapping[str, FeasibleSpace]  # by template
    cached: bool
    stopped: Stop | None  # why the search ended; None where nothing was searched
    seconds: float
    notes: Mapping[str, str]

    @property
    def interrupted(self) -> bool:
        return self.stopped == "interrupted"


@dataclass(frozen=True, slots=True)
class Watch:
    """What a face wants to hear while a study runs."""

    started: Callable[[Problem, Host, Sequence[Lane], Spending], None] = lambda problem, host, lanes, spending: None
    trial: Callable[[Trial], None] = lambda trial: None


def run(
    request: Request,
    watch: Watch | None = None,
    host: Host | None = None,
    store: Store | None = None,
    studies: Studies | None = None,
) -> Report:
    """Answer a request from the store, or by a study that goes on from what the store knows.

    A `host` that is handed in stays open, with its compilers warm, and `request.device` is passed over; so does a
    `store`, and `request.db_url` is; what the search cost is then kept in `studies` alone.
    Raises: UsageError, NoFeasibleConfig, DeviceError, StoreError.
    """
    started_s = time.monotonic()
    config = settings.read()
    check_name(request.sampler)
    templates = templates_named(request.op, request.templates)
    with ExitStack() as opened:
        host = host or opened.enter_context(closing(wiring.open_host(request.device, config)))
        key, spaces = task_of(request.op, request.fields, templates, request.policy, host)
        if store is None:
            store, studies = wiring.open_store_and_studies(config, request.db_url)
            opened.callback(store.close)
        digests = [template.digest for template in spaces]
        best = store.best(key, digests)
        known = [] if request.force else [r for r in store.records(key) if r.template_digest in digests]
        cached, stopped = best is not None and best.phase == "playoff" and not request.force, None
        lanes = [] if cached else lanes_of(request, key, spaces, best, store)
        if lanes:
            study = _study(request, key, host, lanes, store, known, watch or Watch(), studies)
            best, stopped, known = study.best, study.stopped, study.records
    if best is None or not isinstance(best.outcome, Measurement):
        raise NoFeasibleConfig(_nothing_worked(key.problem, known, stopped == "interrupted"))
    return Report(
        record=best,
        answer=(request.allow_vendor and vendor_answer(best)) or ranking.answer_from(best, best.outcome),
        counts=Counts.of([record for record in known if record.phase == "search"]),
        spaces={template.name: feasible for template, feasible in spaces.items()},
        cached=cached,
        stopped=stopped,
        seconds=time.monotonic() - started_s,
        notes={**host.notes, **_beginning(lanes), **_doubts(best.outcome)},
    )


def task_of(
    op_name: str, fields: Mapping[str, Any], templates: Sequence[KernelTemplate], policy: str, host: Host
) -> tuple[RecordKey, dict[KernelTemplate, FeasibleSpace]]:
    """What the words of a request come to: the key of its times, and what its templates can be on the host.

    Raises: UsageError, NoFeasibleConfig.
    """
    problem = op_named(op_name).problem(host.target.kind, **fields)
    key = RecordKey(problem, host.target, Policy.named(host.target.kind, policy))
    return key, feasible_spaces(templates, problem, host)


def feasible_spaces(
    templates: Sequence[KernelTemplate], problem: Problem, host: Host
) -> dict[KernelTemplate, FeasibleSpace]:
    """The feasible space of each template that can compute the problem on the host.

    Raises: NoFeasibleConfig, with each template's reason, if there is none.
    """
    return feasible_among(offers(templates, problem, host), problem, host)


def offers(
    templates: Sequence[KernelTemplate], problem: Problem, host: Host
) -> dict[KernelTemplate, FeasibleSpace | str]:
    """What each template has for the problem on the host: its space, empty ones too, or why it cannot compute it."""
    found: dict[KernelTemplate, FeasibleSpace | str] = {}
    for template in templates:
        if template.backend not in host.backends:
            reason: str | None = f"it runs on {template.backend}, not on this {host.target.kind}"
        else:
            reason = template.supports(problem, host.target)
        found[template] = reason or template.feasible(problem, host.target)
    return found


def feasible_among(
    offered: Mapping[KernelTemplate, FeasibleSpace | str], problem: Problem, host: Host
) -> dict[KernelTemplate, FeasibleSpace]:
    """The offers that hold a config. Raises: NoFeasibleConfig, with each template's reason, if there is none."""
    found: dict[KernelTemplate, FeasibleSpace] = {}
    refusals = []
    for template, offer in offered.items():
        if isinstance(offer, str):
            refusals.append(f"{template.name}: {offer}")
        elif offer.total:
            found[template] = offer
        else:
            refusals.append(f"{template.name}: no config satisfies: {offer.emptied_by}")
    if not found:
        raise NoFeasibleConfig(
            f"no template can compute {problem.op} {words_of(problem)} on {host.target.name}. {'; '.join(refusals)}."
        )
    return found


def lanes_of(
    request: Request,
    key: RecordKey,
    spaces: Mapping[KernelTemplate, FeasibleSpace],
    best: Record | None,
    store: Store,
) -> list[Lane]:
    """A lane for each template, with its seeds and what is known of near problems; the best config is met first."""
    starts = transfer.starts(store, key, spaces) if request.transfer else {}
    lanes = []
    for template, feasible in spaces.items():
        held = best.config if best is not None and best.template_digest == template.digest else None
        incumbent = held if held is not None and held in feasible else None
        seeds = tuple(template.seed_configs(feasible, key.problem, key.target))
        start = starts.get(template, transfer.NOTHING)
        estimate = template.estimate(feasible, key.problem, key.target)
        sampler = make_sampler(request.sampler, feasible, request.seed, start.known, estimate)
        lanes.append(Lane(template, feasible, sampler, seeds, incumbent, start))
    return lanes


def _study(
    request: Request,
    key: RecordKey,
    host: Host,
    lanes: Sequence[Lane],
    store: Store,
    known: Sequence[Record],
    watch: Watch,
    studies: Studies | None,
) -> Study:
    """Run one study to its end; what it cost is kept, however it ended."""
    check_memory(key.problem, host)
    started_s = time.monotonic()
    engine = host.engine(key.problem, key.policy)
    try:
        spending = Spending(request.budget, time.monotonic)
        recorded_by = this_user()
        study = Study(key, lanes, engine, store, spending, recorded_by, request.seed, watch.trial, rules=request.rules)
        study.know(known)
        watch.started(key.problem, host, lanes, spending)
        before = spending.trials
        try:
            study.run()
        finally:
            spent_s, trials = time.monotonic() - started_s, spending.trials - before
            study_logs.keep(studies, study_logs.log_of(study, request.sampler, spent_s, trials))
        return study
    finally:
        engine.close()


def this_user() -> str:
    """Who records are by: user@machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def check_memory(problem: Problem, host: Host) -> None:
    """Arrays, their float64 twins in the check, and the sets that keep caches cold must fit."""
    needed, free = 6 * problem.dim("bytes"), host.memory_bytes()
    if needed > free:
        raise DeviceError(
            f"{problem.op} {words_of(problem)} needs about {needed / 1e9:,.1f} GB to check and time, "
            f"and {host.target.name} has {free / 1e9:,.1f} GB free. Use a smaller shape or a larger machine."
        )


def _beginning(lanes: Sequence[Lane]) -> dict[str, str]:
    """A note on what the search started from, if anything near was known."""
    said = transfer.summary(lane.start for lane in lanes)
    return {"transfer": f"started from {said}"} if said else {}


def _doubts(measurement: Measurement) -> dict[str, str]:
    """A note on what spoils the winner's time, if anything does."""
    said = warnings(measurement.readings)
    return {"readings": f"while the winner was timed, {' and '.join(said)}: times may be off"} if said else {}


def _nothing_worked(problem: Problem, records: Sequence[Record], interrupted: bool) -> str:
    reasons = {f"{r.outcome.kind}: {r.outcome.reason}" for r in records if not isinstance(r.outcome, Measurement)}
    tried = f"{len(records)} configs were tried for {problem.op} {words_of(problem)} and none worked"
    if interrupted and not records:
        tried = "interrupted before the first result"
    return f"{tried}. {'; '.join(sorted(reasons)[:3])}"


def words_of(problem: Problem) -> str:
    """Shape and dtype, as people name a problem of a known op."""
    return f"{op_named(problem.op).shape_of(problem)} {problem['dtype']}"
