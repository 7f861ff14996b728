"""Benching: one config again, checked, and timed beside the vendor library and its template's default."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..cache.records import Failure, Incident, Measurement, Record, RecordKey
from ..cache.rules import winner
from ..cache.store import Store
from ..spaces.config import Config
from ..spaces.errors import DeviceError, NoFeasibleConfig
from ..templates.catalogue import templates_named
from . import settings, wiring
from .backends.artifact import Artifact
from .engine.engine import Engine, PlayoffResult
from .hosts import Host
from .named_config import Choice, config_named, default_config
from .tuning import check_memory, task_of, this_user, words_of
from .verdicts import baseline_of


@dataclass(frozen=True, slots=True)
class Request:
    """Which config is to be timed, of what, and how."""

    op: str
    fields: Mapping[str, Any]  # dims and fields of the op
    config: str | None = None  # JSON, or a digest's first characters; None: the best known
    device: str = "auto"
    templates: tuple[str, ...] = ()
    seed: int = 0
    policy: str = "cold"
    db_url: str | None = None
    rounds: int | None = None  # of the playoff; None: until it is settled


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a config, and what it is held against."""

    choice: Choice
    record: Record
    measurement: Measurement
    default: Config
    default_time: Measurement | Failure
    known: Record | None  # of the same key and config, before
    seconds: float
    notes: Mapping[str, str]
    rounds: int  # of the playoff
    left_out: Mapping[str, str]  # ways of the vendor's that do not run, and why

    @property
    def change(self) -> float | None:
        """Share by which the time differs from the known one: above 0 where it is slower now."""
        known = self.known and self.known.measurement
        return self.measurement.median_us / known.median_us - 1 if known else None

    @property
    def outside_spread(self) -> bool:
        """Whether the two times lie further apart than their spreads together."""
        known = self.known and self.known.measurement
        if not known:
            return False
        return abs(self.measurement.median_us - known.median_us) > self.measurement.spread_us + known.spread_us


def run(
    request: Request,
    started: Callable[[Choice, RecordKey], None] = lambda choice, key: None,
    host: Host | None = None,
) -> Report:
    """Time one config beside its rivals, interleaved, and keep the record.

    A `host` that is handed in stays open, and `request.device` is passed over.
    Raises: UsageError (SpaceError where the config is not feasible), NoFeasibleConfig where the config fails,
    DeviceError, StoreError.
    """
    began_s = time.monotonic()
    config = settings.read()
    templates = templates_named(request.op, request.templates)
    with ExitStack() as opened:
        host = host or opened.enter_context(closing(wiring.open_host(request.device, config)))
        key, spaces = task_of(request.op, request.fields, templates, request.policy, host)
        store = opened.enter_context(closing(wiring.open_store(config, request.db_url)))
        choice = config_named(request.config, key, spaces, store)
        known = winner(record for record in store.records(key) if _is_of(record, choice))
        check_memory(key.problem, host)
        started(choice, key)
        met = _bench(choice, key, host, store, request)
    measurement = met.result.measurements["config"]
    default_time = met.failed or met.result.measurements.get("default", measurement)
    words = (choice, met.record, measurement, met.default, default_time, known)
    rounds, left_out = len(met.result.rounds_us["config"]), met.result.left_out
    return Report(*words, time.monotonic() - began_s, host.notes, rounds, left_out)


def _is_of(record: Record, choice: Choice) -> bool:
    return record.template_digest == choice.template.digest and record.config == choice.config


@dataclass(frozen=True, slots=True)
class _Met:
    """The playoff of a config and its template's default, or why that one has no time."""

    record: Record
    result: PlayoffResult
    default: Config
    failed: Failure | None


def _bench(choice: Choice, key: RecordKey, host: Host, store: Store, request: Request) -> _Met:
    default = default_config(choice.template, choice.feasible, key)
    failed: Failure | None = None
    engine = host.engine(key.problem, key.policy)
    try:
        ours = _checked(choice, choice.config, key, engine, store, request.seed)
        if isinstance(ours, Failure):
            store.add(_record(choice, key, ours))
            raise NoFeasibleConfig(
                f"{choice.config} of {choice.template.name} fails for {key.problem.op} {words_of(key.problem)}. "
                f"{ours.kind}: {ours.reason}"
            )
        contenders = {"config": ours}
        if default != choice.config:
            rival = _checked(choice, default, key, engine, store, request.seed)
            if isinstance(rival, Failure):
                failed = rival
            else:
                contenders["default"] = rival
        result = engine.playoff(contenders, request.seed, request.rounds)
        if isinstance(result, Failure | Incident):  # each has run well alone: a failure here is nobody's own
            raise _trouble(Incident("playoff", result.reason), key, store)
    finally:
        engine.close()
    record = _record(choice, key, result.measurements["config"], result)
    store.add(record)
    return _Met(record, result, default, failed)


def _checked(
    choice: Choice, config: Config, key: RecordKey, engine: Engine, store: Store, seed: int
) -> Artifact | Failure:
    """A config of the choice's template, compiled, and checked on fresh inputs. Raises: DeviceError."""
    candidate = choice.template.candidate(choice.feasible, key.problem, key.target, config)
    made = engine.submit(candidate).result()
    if isinstance(made, Artifact):
        measured = engine.measure(made, seed)
        if isinstance(measured, Measurement):
            return made
        made = measured
    if isinstance(made, Incident):
        raise _trouble(made, key, store)
    return made


def _trouble(incident: Incident, key: RecordKey, store: Store) -> DeviceError:
    """The error to raise for a trouble of the machine, which is kept."""
    store.add_incident(key, incident)
    return DeviceError(
        f"the machine was in trouble: {incident.kind}: {incident.reason}. Nothing is held against the config; "
        "run the same command again once the machine is well."
    )


def _record(
    choice: Choice, key: RecordKey, outcome: Measurement | Failure, result: PlayoffResult | None = None
) -> Record:
    """A record of phase "search", though its time is from a playoff.

    One config timed against its default alone has won no search: as "playoff" it would answer the next `tune` from the
    cache, and shut out a search that is still to come. As "search" it counts as one config tried; a playoff's winner
    stays, and a failure takes a config out as any failure does.
    """
    return Record(
        key=key,
        template=choice.template.name,
        template_digest=choice.template.digest,
        space_digest=choice.template.space.digest,
        config=choice.config,
        outcome=outcome,
        recorded_at=datetime.now(UTC),
        recorded_by=this_user(),
        baseline=baseline_of(result, "config") if result else None,
    )
