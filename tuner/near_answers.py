"""Near answers: what is known of other shapes, where it fits this one.

A config's time here is foretold as its time there, times what the analytic model says of it here, by what the model
says there: tiles, waves and bytes count, and what the model does not see of a template cancels out. The config that
should be fastest here is given, with what it should lose to the best that is foretold of any config at hand.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..cache.records import Answer, RecordKey
from ..cache.rules import standing
from ..cache.store import Store
from ..spaces.config import Config
from ..spaces.explanation import FEASIBLE
from ..spaces.problems import Problem
from ..spaces.targets import Target
from ..templates.catalogue import op_named, templates
from ..templates.template import KernelTemplate
from .lookup import Hit, Query, answer_from, hits
from .nearness import distance
from .transfer import listed

FARTHEST = 3.0
"""Steps of nearness.distance from which on nothing is said: m = 16 is farther from 256 than that, not from 64."""

MOST_KEYS, MOST_OF_A_KEY = 4, 24
"""The nearest that are read, and how many of the best configs of each: a winner need not fit here."""

DOUBT = 0.1
"""Of a foretold time, for each step: of two that should be equal, the nearer one is the surer.

Foretold of winners at other shapes of the GEMM suite (H200, 2026-11-23; 35 problems, nine templates), and measured
there too (304 pairs): right within 3 to 11 % (one standard deviation) up to two steps, within 22 % between two and
three, off by 3 % at most in the mean. The answers chosen so lost 6 % to the best known where that is known (13 of 30).
"""


@dataclass(frozen=True, slots=True)
class Near:
    """A config of another shape, as it should do here."""

    hit: Hit
    template: KernelTemplate
    target: Target  # where it would run
    steps: float
    model_there_us: float | None
    here_us: float | None  # foretold

    @property
    def order(self) -> tuple[float, float, float, str]:
        """What should be fastest here, then the nearest, then the newest."""
        here_us = float("inf") if self.here_us is None else self.here_us * (1.0 + DOUBT * self.steps)
        return here_us, self.steps, -self.hit.record.recorded_at.timestamp(), self.hit.record.config.digest


def near_answer(store: Store, query: Query, digests: Mapping[str, str]) -> Answer | None:
    """The best answer that records of other shapes give, or None where none is near enough and fits.

    `digests` are the templates' as they are now, by name. Every word of the problem must be as asked (dtypes, layout,
    epilogue); its numbers need not. Raises: StoreError.
    """
    winners = hits(query, store.candidates(query.problem.op), digests)
    keys = {hit.record.key: _steps(query, hit.record.key) for hit in winners}
    nearest = sorted((steps, key.digest, key) for key, steps in keys.items() if steps is not None)[:MOST_KEYS]
    good = [record for _, _, key in nearest for record in standing(store.records(key))[:MOST_OF_A_KEY]]
    known = {template.name: template for template in templates(query.problem.op)}
    fitting = (_fitting(query, hit, known) for hit in hits(query, good, digests))
    found = [near for near in fitting if near is not None]
    if not found:
        return None
    best = min(found, key=lambda near: near.order)
    record = best.hit.record
    shape = RecordKey(query.problem, record.key.target, query.policy).explain_difference(record.key)
    answer = answer_from(record, best.hit.measurement)
    slowdown = _slowdown(query.problem, best, found)
    return replace(answer, match="near", differences=(*shape, *best.hit.differences), expected_slowdown=slowdown)


def _steps(query: Query, there: RecordKey) -> float | None:
    """How far another shape is; None where it is too far, or where more than numbers differs, or nothing."""
    one, other = query.problem.as_dict(), there.problem.as_dict()
    differing = [(one.get(name), other.get(name)) for name in {**one, **other} if one.get(name) != other.get(name)]
    if not differing or not all(type(a) is int and type(b) is int for a, b in differing):
        return None
    steps = distance(RecordKey(query.problem, there.target, query.policy), there)
    return steps if steps is not None and steps < FARTHEST else None


def _fitting(query: Query, hit: Hit, known: Mapping[str, KernelTemplate]) -> Near | None:
    """The hit's config as it should do here; None where it is no config of this problem at all."""
    record = hit.record
    target = query.where if isinstance(query.where, Target) else record.key.target
    steps, template = _steps(query, record.key), known.get(record.template)
    if template is None or steps is None:
        return None
    if template.supports(query.problem, target) is not None or not _fits(
        template, record.config, query.problem, target
    ):
        return None
    problem_there = op_named(query.problem.op).with_facts(record.key.problem, record.key.target.kind)
    there = _model_us(template, problem_there, record.key.target, [record.config])
    here = _model_us(template, query.problem, target, [record.config])
    foretold = None if here is None or there is None else hit.measurement.median_us * here[0] / there[0]
    return Near(hit, template, target, steps, None if there is None else there[0], foretold)


def _slowdown(problem: Problem, given: Near, found: Sequence[Near]) -> float | None:
    """What the answer should lose to the best foretold: of all that was found, and of its template's seeds."""
    if given.here_us is None:
        return None
    shares = [
        near.hit.measurement.median_us / near.model_there_us
        for near in found
        if near.template is given.template and near.model_there_us is not None
    ]
    model_us = _model_us(given.template, problem, given.target, _seeds(given.template, problem, given.target)) or []
    seeds_us = [us * statistics.median(shares) for us in model_us]
    fastest_us = min([given.here_us, *seeds_us, *(near.here_us for near in found if near.here_us is not None)])
    return round(given.here_us / fastest_us, 4)


def _model_us(
    template: KernelTemplate, problem: Problem, target: Target, configs: Sequence[Config]
) -> list[float] | None:
    """What the analytic model says of configs; None where the template has none."""
    if not configs or template.work is None:
        return None
    feasible, rows = listed(template, configs)
    estimated_us = template.estimates_us(feasible, problem, target, rows.tolist())
    return None if estimated_us is None else [float(us) for us in estimated_us]


def _seeds(template: KernelTemplate, problem: Problem, target: Target) -> list[Config]:
    """The template's seeds that are configs of the problem, one by one: to list the whole space takes a second."""
    conditional = template.space.declaration.conditions
    found = []
    for seed in template.seeds(problem, target):
        config = {name: value for name, value in seed.items() if name not in conditional}
        for name in (name for name in seed if name in conditional):
            if template.space.explain(config, problem, target) == f"{name} is missing":
                config[name] = seed[name]
        if _fits(template, Config(config), problem, target):
            found.append(Config(config))
    return found


def _fits(template: KernelTemplate, config: Config, problem: Problem, target: Target) -> bool:
    """Whether it is a config of this problem there: alignment, divisibility, memory, all that the space demands."""
    return template.space.explain(config, problem, target) == FEASIBLE
