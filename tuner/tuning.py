"""Tuning: a request answered from the store, or by a study that goes on from what the store knows."""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..cache.records import Answer, Measurement, Policy, Record, RecordKey
from ..cache.store import Store
from ..spaces.errors import DeviceError, NoFeasibleConfig
from ..spaces.feasible import FeasibleSpace
from ..spaces.problems import Problem
from ..templates.catalogue import op_named, templates_named
from ..templates.template import KernelTemplate
from . import lookup as ranking
from . import settings, wiring
from .budget import Budget, Spending
from .hosts import Host
from .lanes import Lane
from .measure.readings import warnings
from .samplers import DEFAULT, check_name, make_sampler
from .settings import Settings
from .study import Counts, Study, Trial


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


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a request: the winner, and how it was found."""

    record: Record
    answer: Answer
    counts: Counts
    spaces: Mapping[str, FeasibleSpace]  # by template
    cached: bool
    interrupted: bool
    seconds: float
    notes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Watch:
    """What a face wants to hear while a study runs."""

    started: Callable[[Problem, Host, Sequence[Lane], Spending], None] = lambda problem, host, lanes, spending: None
    trial: Callable[[Trial], None] = lambda trial: None


def run(request: Request, watch: Watch | None = None) -> Report:
    """Answer a request from the store, or by a study that goes on from what the store knows.

    Raises: UsageError, NoFeasibleConfig, DeviceError, StoreError.
    """
    started_s = time.monotonic()
    config = settings.read()
    check_name(request.sampler)
    host, key, spaces = task_of(request.op, request.fields, request.device, request.templates, request.policy, config)
    store = wiring.open_store(config, request.db_url)
    try:
        digests = [template.digest for template in spaces]
        best = store.best(key, digests)
        known = [] if request.force else [r for r in store.records(key) if r.template_digest in digests]
        cached, interrupted = best is not None and best.phase == "playoff" and not request.force, False
        if not cached:
            study = _study(request, key, host, _lanes(request, key, spaces, best), store, known, watch or Watch())
            best, interrupted, known = study.best, study.interrupted, study.records
    finally:
        store.close()
    if best is None or not isinstance(best.outcome, Measurement):
        raise NoFeasibleConfig(_nothing_worked(key.problem, known, interrupted))
    return Report(
        record=best,
        answer=ranking.answer_from(best, best.outcome),
        counts=Counts.of([record for record in known if record.phase == "search"]),
        spaces={template.name: feasible for template, feasible in spaces.items()},
        cached=cached,
        interrupted=interrupted,
        seconds=time.monotonic() - started_s,
        notes={**host.notes, **_doubts(best.outcome)},
    )


def task_of(
    op_name: str, fields: Mapping[str, Any], device: str, names: Sequence[str], policy: str, config: Settings
) -> tuple[Host, RecordKey, dict[KernelTemplate, FeasibleSpace]]:
    """What the words of a request come to: the host, the key of its times, and what its templates can be there.

    Raises: UsageError, DeviceError, NoFeasibleConfig.
    """
    op, templates = op_named(op_name), templates_named(op_name, names)
    host = wiring.open_host(device, config)
    problem = op.problem(host.target.kind, **fields)
    key = RecordKey(problem, host.target, Policy.named(host.target.kind, policy))
    return host, key, feasible_spaces(templates, problem, host)


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


def _lanes(
    request: Request, key: RecordKey, spaces: Mapping[KernelTemplate, FeasibleSpace], best: Record | None
) -> list[Lane]:
    """A lane for each template, with its seeds; the best known config is met again first."""
    lanes = []
    for template, feasible in spaces.items():
        held = best.config if best is not None and best.template_digest == template.digest else None
        incumbent = held if held is not None and held in feasible else None
        seeds = tuple(template.seed_configs(feasible, key.problem, key.target))
        lanes.append(Lane(template, feasible, make_sampler(request.sampler, feasible, request.seed), seeds, incumbent))
    return lanes


def _study(
    request: Request,
    key: RecordKey,
    host: Host,
    lanes: Sequence[Lane],
    store: Store,
    known: Sequence[Record],
    watch: Watch,
) -> Study:
    """Run one study to its end."""
    check_memory(key.problem, host)
    engine = host.engine(key.problem, key.policy)
    try:
        spending = Spending(request.budget, time.monotonic)
        recorded_by = this_user()
        study = Study(key, lanes, engine, store, spending, recorded_by, request.seed, watch.trial)
        study.know(known)
        watch.started(key.problem, host, lanes, spending)
        study.run()
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
