"""Transfer: what a search may start from, of other problems, other devices and older tools.

A source is a key and a template of the same name. Of a template that was edited since, results count whose parameters
still have the same names and values. Failures count as the config's own fault (`runtime`, `timeout`, `incorrect`)
wherever they happened, and as a limit (`constraints`, `compile`, `launch`) only on the same device: another has others.
The time of a config that was raced out is less sure than others, and still among the slow ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from ..cache.records import Measurement, Record, RecordKey
from ..cache.store import Store
from ..spaces.config import Config
from ..spaces.feasible import FeasibleSpace
from ..spaces.points import ABSENT
from ..spaces.space import Space
from ..templates.catalogue import op_named
from ..templates.template import KernelTemplate
from .backends.listed import ListedSpace
from .cost_models.known import KnownRows
from .nearness import distance

MOST_SOURCES = 8
MOST_RESULTS = 500
"""Of one source, half of them the fastest: they say most, and cost what all do."""

FARTHEST = 8.0
"""Steps from which on nothing is taken: a search from nothing finds as much."""

EDITED = 0.5
"""Steps that an edit of the template's source counts."""

LIMITS = frozenset({"constraints", "compile", "launch"})

FIRST_WINNERS = 1
"""Winners of the nearest sources that are tried right after the template's default; of the rest the sampler knows more
(docs/transfer.md)."""

NEAR = 3.0
"""Steps up to which a source stands for most of the template's own seeds: a search has better picks of its own."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """A key and template whose results may be known here, with its winner."""

    distance: float  # steps
    winner: Record

    @property
    def order(self) -> tuple[float, float, str, str]:
        """Nearest first; of equals the newest."""
        winner = self.winner
        return self.distance, -winner.recorded_at.timestamp(), winner.key.digest, winner.template_digest


@dataclass(frozen=True, slots=True)
class Start:
    """What the search of one template starts from."""

    known: tuple[KnownRows, ...] = ()
    winners: tuple[Config, ...] = ()  # feasible here, of the nearest source first

    @property
    def is_near(self) -> bool:
        """Whether most of the template's own seeds need not be tried."""
        return any(rows.distance <= NEAR for rows in self.known)


NOTHING = Start()


def starts(store: Store, key: RecordKey, spaces: Mapping[KernelTemplate, FeasibleSpace]) -> dict[KernelTemplate, Start]:
    """What each template starts from: reads the winners of the op, and the records of the nearest keys. StoreError."""
    winners = store.candidates(key.problem.op)
    near = {template: sources(key, template, winners) for template in spaces}
    keys = {source.winner.key for found in near.values() for source in found}
    read = {known: store.records(known) for known in keys}
    return {template: start(key, template, space, near[template], read) for template, space in spaces.items()}


def sources(key: RecordKey, template: KernelTemplate, winners: Iterable[Record]) -> list[Source]:
    """The nearest sources of a template, nearest first, by the winner of each."""
    found = []
    for winner in winners:
        same = winner.template_digest == template.digest
        if winner.template != template.name or (same and winner.key == key):
            continue
        far = distance(key, winner.key)
        if far is not None and (far := far + (0.0 if same else EDITED)) <= FARTHEST:
            found.append(Source(far, winner))
    return sorted(found, key=lambda source: source.order)[:MOST_SOURCES]


def start(
    key: RecordKey,
    template: KernelTemplate,
    feasible: FeasibleSpace,
    near: Sequence[Source],
    read: Mapping[RecordKey, Sequence[Record]],
) -> Start:
    """What these sources say of a template's space here; `read` has the records of each key."""
    known = [known_rows(key, template, source, read[source.winner.key]) for source in near]
    placed = (_placed(feasible, source.winner.config) for source in near)
    winners = islice((config for config in placed if config is not None), FIRST_WINNERS)
    return Start(tuple(rows for rows in known if rows is not None), tuple(winners))


def known_rows(key: RecordKey, template: KernelTemplate, source: Source, records: Iterable[Record]) -> KnownRows | None:
    """What is known from a source, over this template's parameters; None where nothing of it ran."""
    there = source.winner.key
    limits_hold = not key.target.compare(there.target).hard
    places = {parameter.name: parameter.places for parameter in template.space.parameters}
    latest: dict[Config, Record] = {}
    for record in records:
        if record.phase == "search" and record.template_digest == source.winner.template_digest:
            latest[record.config] = record
    told = [
        (record.config, record.outcome.median_us if isinstance(record.outcome, Measurement) else np.nan)
        for record in latest.values()
        if (isinstance(record.outcome, Measurement) or limits_hold or record.outcome.kind not in LIMITS)
        and all(value in places.get(name, ()) for name, value in record.config.items())
    ]
    told = _telling(sorted(told, key=lambda one: (np.isnan(one[1]), one[1])))
    if not told or np.isnan(told[0][1]):
        return None
    feasible, rows = listed(template, [config for config, _ in told])
    times_us = np.array([us for _, us in told])
    problem = op_named(there.problem.op).with_facts(there.problem, there.target.kind)  # a store keeps no facts
    estimates_us = template.estimates_us(feasible, problem, there.target, rows.tolist())
    return KnownRows(_name(key, there), feasible, rows, times_us, source.distance, estimates_us)


def summary(starts: Iterable[Start]) -> str | None:
    """What a search starts from, for people: `412 results of 3 studies: gemm 2048x2048x2048 bf16 nn on this device, …`,
    the nearest named; None where nothing is known."""
    near = sorted((rows for start in starts for rows in start.known), key=lambda rows: rows.distance)
    if not near:
        return None
    studies = len({rows.source for rows in near})
    counted = "1 study" if studies == 1 else f"{studies} studies"
    results = sum(len(rows.rows) for rows in near)
    return f"{results:,} results of {counted}: {near[0].source}{', …' if studies > 1 else ''}"


def _telling(ordered: list[T]) -> list[T]:
    """The first half of what may be taken, and as much spread evenly over the rest."""
    if len(ordered) <= MOST_RESULTS:
        return ordered
    half = MOST_RESULTS // 2
    spread = np.linspace(half, len(ordered) - 1, MOST_RESULTS - half).astype(int)
    return ordered[:half] + [ordered[place] for place in spread]


def listed(template: KernelTemplate, configs: Sequence[Config]) -> tuple[ListedSpace, Any]:
    """These configs as a space of the template's parameters, without its constraints; and the row of each."""
    space = Space(template.name)
    columns = []
    for parameter in template.space.parameters:
        symbol = space.add(parameter)
        column = [
            parameter.places[config[parameter.name]] if parameter.name in config else ABSENT for config in configs
        ]
        if ABSENT in column:
            space.when(True, symbol)  # absent in some configs: which, the rows say
        columns.append(column)
    feasible = ListedSpace(space, np.array(columns, dtype=np.int32).T)
    return feasible, np.array(feasible.find_all(configs), dtype=np.int64)


def _placed(feasible: FeasibleSpace, config: Config) -> Config | None:
    """The feasible config nearest to one of elsewhere; None where it has a name or value that there is not here."""
    if config in feasible:
        return config
    names = {parameter.name: parameter.places for parameter in feasible.parameters}
    said = all(name in names and value in names[name] for name, value in config.items())
    return feasible.nearest(config) if said else None


def _name(here: RecordKey, there: RecordKey) -> str:
    """`gemm 2048x2048x2048 bf16 nt on this device`."""
    problem, places = there.problem, here.target.compare(there.target)
    where = f"on {there.target.name}" if places.hard else "with other tools" if places.soft else "on this device"
    layout = f" {problem['layout']}" if "layout" in dict(problem.fields) else ""
    return f"{problem.op} {op_named(problem.op).shape_of(problem)} {problem['dtype']}{layout} {where}"
