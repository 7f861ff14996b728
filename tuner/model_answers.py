"""Model answers: what results of other problems, devices and tools say of a problem that nothing near is known of.

The learned model that a search would start from (transfer.py, cost_models/elsewhere.py) orders the feasible configs of
every template, and the one that should be fastest is given: nobody has measured it here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..cache.records import Answer, Record, RecordKey
from ..cache.store import Store
from ..spaces.config import Config
from ..spaces.feasible import FeasibleSpace
from ..spaces.targets import Target
from ..templates.catalogue import op_named, templates
from ..templates.template import KernelTemplate
from . import transfer
from .cost_models.known import KnownRows
from .lookup import NOT_MEASURED, Query, unsaid_of

MOST_ROWS = 20_000
"""Feasible configs of a template that are looked at; where there are more, so many by chance, and the winners."""

LOSS_PER_STEP = 0.1
"""By how much the answer should lose for each step to the nearest source: a judgement, as for near answers. Seven
shapes of gemm on an H200, each foretold from the others some steps away: the first pick reached .89 of the best
(docs/transfer.md)."""


LEAST_ODDS = 1e-3


@dataclass(frozen=True, slots=True)
class Pick:
    """The config of a template that should be fastest."""

    template: KernelTemplate
    config: Config
    foretold_us: float
    start: transfer.Start  # what it rests on
    nearest: transfer.Source


def model_answer(store: Store, query: Query) -> Answer | None:
    """What the model would try first, or None where nothing of the op is known that it could learn from.

    `median_us` is foretold, of no samples; stamp and name are those of the nearest source. Takes a second or so: every
    template's feasible configs are listed. Raises: StoreError.
    """
    winners = store.candidates(query.problem.op)
    target = _target(query, winners)
    if target is None:
        return None
    key = RecordKey(query.problem, target, query.policy)
    starts = transfer.starts(store, key, _spaces(key))
    picks = [_pick(key, template, start, winners) for template, start in starts.items() if start.known]
    if not picks:
        return None
    best = min(picks, key=lambda pick: (pick.foretold_us, pick.template.name))
    said = f"{NOT_MEASURED}: foretold from {transfer.summary([best.start])}"
    return Answer(
        config=best.config,
        template=best.template.name,
        match="model",
        problem=query.problem,
        target=target,
        policy=query.policy,
        median_us=round(best.foretold_us, 3),
        spread_us=0.0,
        samples=0,
        recorded_at=best.nearest.winner.recorded_at,
        recorded_by=best.nearest.winner.recorded_by,
        differences=(said, *unsaid_of(query, target)),
        expected_slowdown=round(1.0 + LOSS_PER_STEP * best.nearest.distance, 4),
    )


def _target(query: Query, winners: Sequence[Record]) -> Target | None:
    """Where it would run: as said, or the target of the device's newest record."""
    if isinstance(query.where, Target):
        return query.where
    there = [record for record in winners if record.key.target.name == query.where.device]
    return max(there, key=lambda record: record.recorded_at).key.target if there else None


def _spaces(key: RecordKey) -> dict[KernelTemplate, FeasibleSpace]:
    """The feasible space of every template that can compute the problem there, and has any."""
    fitting = [template for template in templates(key.problem.op) if template.supports(key.problem, key.target) is None]
    spaces = {template: template.feasible(key.problem, key.target) for template in fitting}
    return {template: feasible for template, feasible in spaces.items() if len(feasible)}


def _pick(key: RecordKey, template: KernelTemplate, start: transfer.Start, winners: Sequence[Record]) -> Pick:
    from .cost_models.elsewhere import expectation  # it imports XGBoost

    feasible = template.feasible(key.problem, key.target)
    estimate = template.estimate(feasible, key.problem, key.target)
    rows = _rows(feasible, start.winners)
    expected = expectation(feasible, start.known, estimate)(rows)
    # A config that may not run at all costs as much more as the odds say.
    place = int(np.argmin(expected.log_times - np.log(np.clip(expected.odds, LEAST_ODDS, 1.0))))
    nearest = transfer.sources(key, template, winners)[0]
    foretold_us = math.exp(float(expected.log_times[place])) * _level_us(
        key, start.known, nearest, estimate is not None
    )
    return Pick(template, feasible[rows[place]], foretold_us, start, nearest)


def _rows(feasible: FeasibleSpace, winners: Sequence[Config]) -> list[int]:
    if len(feasible) <= MOST_ROWS:
        return list(range(len(feasible)))
    drawn = feasible.draw(np.random.default_rng(0), MOST_ROWS)
    return sorted({*map(int, drawn), *(feasible.index(winner) for winner in winners)})


def _level_us(key: RecordKey, known: Sequence[KnownRows], nearest: transfer.Source, has_model: bool) -> float:
    """What the log times of an expectation count from: the fastest of the nearest source, by its estimate where the
    model learned what estimates missed, else by the work of the two problems."""
    rows = min(known, key=lambda rows: rows.distance)
    fastest = int(np.nanargmin(rows.times_us))
    time_us = float(rows.times_us[fastest])
    if has_model and rows.estimates_us is not None:
        return time_us / float(rows.estimates_us[fastest])
    there = op_named(key.problem.op).with_facts(nearest.winner.key.problem, key.target.kind)
    return time_us * key.problem.dim("flops") / there.dim("flops")
