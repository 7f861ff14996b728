"""What is expected of configs from results of the same kernel elsewhere: another device, another problem, older tools.

A config that was tried there counts as it did there; of others a boosted model of all that was tried speaks, in which
the near sources weigh more. Where an analytic model estimates times both there and here, what it missed there is what
carries over. Models are fitted from records when they are needed, and never shipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ...spaces.expressions import Value
from ...spaces.points import ABSENT
from .gaussian import Numbers
from .known import KnownRows
from .ranking import Expectation, Rows

if TYPE_CHECKING:
    from ...spaces.feasible import FeasibleSpace

TREES = 150
FAILURE_TREES = 60
BOOSTING = {"max_depth": 8, "eta": 0.15, "subsample": 0.8, "nthread": 1, "seed": 0, "verbosity": 0}

HALVED_BY = 0.5
"""Steps of distance by which a source weighs half as much."""

Estimate = Callable[[Rows], Numbers]
"""Times in µs of rows here, by an analytic model."""


def expectation(
    feasible: FeasibleSpace, known: Sequence[KnownRows], estimate: Estimate | None = None
) -> Callable[[Rows], Expectation]:
    """What all of these together say of rows of a space; at least one is given."""
    if estimate is None or any(other.estimates_us is None for other in known):
        return _model(feasible, tuple(known), estimated=False)
    missed = _model(feasible, tuple(known), estimated=True)

    def expected(rows: Rows) -> Expectation:
        there = missed(rows)
        return Expectation(there.log_times + np.log(estimate(rows)), there.odds)

    return expected


@lru_cache(maxsize=16)
def _model(feasible: FeasibleSpace, known: tuple[KnownRows, ...], estimated: bool) -> Callable[[Rows], Expectation]:
    """What they say of rows: log times, or how far these were from what was estimated, up to a constant.

    Kept, for studies with other seeds ask again.
    """
    import xgboost

    nearest = min(other.distance for other in known)
    shares = np.array([2.0 ** ((nearest - other.distance) / HALVED_BY) for other in known])
    shares /= shares.sum()
    features = np.concatenate([_features(other, feasible.features) for other in known])
    log_times = np.concatenate([_log_times(other, estimated) for other in known])
    weights = np.repeat(shares, [len(other.rows) for other in known])
    ran = ~np.isnan(log_times)
    times_model = xgboost.train(BOOSTING, xgboost.DMatrix(features[ran], log_times[ran], weight=weights[ran]), TREES)
    odds_model = None
    if not ran.all():
        logistic = {**BOOSTING, "objective": "binary:logistic"}
        data = xgboost.DMatrix(features, ran.astype(float), weight=weights)
        odds_model = xgboost.train(logistic, data, FAILURE_TREES)
    tried = _tried(feasible, known, log_times, weights)

    def expected(rows: Rows) -> Expectation:
        asked = xgboost.DMatrix(feasible.encode(feasible.matrix(list(rows))))
        guessed = times_model.predict(asked).astype(float)
        odds = np.ones(len(rows)) if odds_model is None else odds_model.predict(asked).astype(float)
        for place, row in enumerate(rows):
            if row in tried:
                share, ran_share, log_time = tried[row]
                guessed[place] += log_time - ran_share * guessed[place]
                odds[place] += ran_share - share * odds[place]
        return Expectation(guessed, odds)

    return expected


def _log_times(known: KnownRows, estimated: bool) -> Numbers:
    """Log times, or those over their estimates, against that of the fastest; NaN where one failed."""
    log_times: Numbers = np.log(known.times_us)
    if estimated and known.estimates_us is not None:
        log_times = log_times - np.log(known.estimates_us)
    fastest = float(log_times[np.nanargmin(known.times_us)])
    return log_times - fastest


def _features(known: KnownRows, wanted: Sequence[str]) -> Numbers:
    """Columns by name; NaN, which a tree takes for missing, where there is none of that name."""
    features, names = known.feasible.encode(known.feasible.matrix(known.rows)), known.feasible.features
    columns = [features[:, names.index(name)] if name in names else np.full(len(features), np.nan) for name in wanted]
    return np.stack(columns, axis=1)


def _tried(
    feasible: FeasibleSpace, known: Sequence[KnownRows], log_times: Numbers, weights: Numbers
) -> dict[int, tuple[float, float, float]]:
    """Of rows of this space that were tried elsewhere: the share of those who tried, of those where it ran, and the sum
    of their log times by share."""
    tried: dict[int, tuple[float, float, float]] = {}
    here = [row for other in known for row in feasible.find_all(_configs(other))]
    for row, log_time, weight in zip(here, log_times.tolist(), weights.tolist(), strict=True):
        if row is not None:
            share, ran_share, total = tried.get(row, (0.0, 0.0, 0.0))
            ran = not np.isnan(log_time)
            tried[row] = share + weight, ran_share + weight * ran, total + (weight * log_time if ran else 0.0)
    return tried


def _configs(known: KnownRows) -> Iterator[dict[str, Value]]:
    """The config of each row, much faster than one by one."""
    parameters = known.feasible.parameters
    for indices in known.feasible.matrix(known.rows).tolist():
        pairs = zip(parameters, indices, strict=True)
        yield {parameter.name: parameter.values[index] for parameter, index in pairs if index != ABSENT}
