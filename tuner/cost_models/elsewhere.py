"""What is expected of configs from results of the same kernel elsewhere: another device, another problem, older tools.

A config that was tried there counts as it did there; of others a boosted model of all that was tried speaks. Models are
fitted from records when they are needed, and never shipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from .gaussian import Numbers
from .known import KnownRows
from .ranking import Expectation, Rows

if TYPE_CHECKING:
    from ...spaces.feasible import FeasibleSpace

TREES = 150
FAILURE_TREES = 60
BOOSTING = {"max_depth": 8, "eta": 0.15, "subsample": 0.8, "nthread": 1, "seed": 0, "verbosity": 0}


def expectation(feasible: FeasibleSpace, known: Sequence[KnownRows]) -> Callable[[Rows], Expectation]:
    """What all of these together say of rows of a space: means of log times and of odds; at least one is given."""
    models = [_model(feasible, other) for other in known]

    def expected(rows: Rows) -> Expectation:
        told = [model(rows) for model in models]
        log_times, odds = ([getattr(one, name) for one in told] for name in ("log_times", "odds"))
        return Expectation(np.mean(log_times, axis=0), np.mean(odds, axis=0))

    return expected


@lru_cache(maxsize=16)
def _model(feasible: FeasibleSpace, known: KnownRows) -> Callable[[Rows], Expectation]:
    """What one of them says. Kept, for studies with other seeds ask again."""
    import xgboost

    there = known.feasible.matrix(known.rows)
    ran = ~np.isnan(known.times_us)
    log_times = np.log(known.times_us[ran])
    lowest = log_times.min()
    features = known.feasible.encode(there)
    times_model = xgboost.train(BOOSTING, xgboost.DMatrix(features[ran], log_times - lowest), TREES)
    odds_model = None
    if not ran.all():
        logistic = {**BOOSTING, "objective": "binary:logistic"}
        odds_model = xgboost.train(logistic, xgboost.DMatrix(features, ran.astype(float)), FAILURE_TREES)
    tried = dict(zip(map(bytes, _keys(there)), np.log(known.times_us) - lowest, strict=True))

    def expected(rows: Rows) -> Expectation:
        indices = feasible.matrix(list(rows))
        asked = xgboost.DMatrix(_aligned(feasible.encode(indices), feasible.features, known.feasible.features))
        guessed = times_model.predict(asked).astype(float)
        odds = np.ones(len(indices)) if odds_model is None else odds_model.predict(asked).astype(float)
        for place, key in enumerate(map(bytes, _keys(_translated(feasible, known.feasible, indices)))):
            if key in tried:
                odds[place] = float(not np.isnan(tried[key]))
                guessed[place] = tried[key] if odds[place] else guessed[place]
        return Expectation(guessed, odds)

    return expected


def _keys(indices: Any) -> Any:
    return np.ascontiguousarray(indices, dtype=np.int32)


def _aligned(features: Any, names: Sequence[str], wanted: Sequence[str]) -> Numbers:
    """Columns by name; NaN, which a tree takes for missing, where there is none of that name."""
    columns = [features[:, names.index(name)] if name in names else np.full(len(features), np.nan) for name in wanted]
    return np.stack(columns, axis=1)


def _translated(feasible: FeasibleSpace, other: FeasibleSpace, indices: Any) -> Any:
    """Rows of value indices as the other space counts its values; -2, which no row has, where it lacks one."""
    translated = np.full((len(indices), len(other.parameters)), -2, dtype=np.int32)
    places = {parameter.name: place for place, parameter in enumerate(feasible.parameters)}
    for column, parameter in enumerate(other.parameters):
        if parameter.name in places:
            own = feasible.parameters[places[parameter.name]]
            there = [parameter.places.get(value, -2) for value in own.values]
            translated[:, column] = np.array([*there, -1])[indices[:, places[parameter.name]]]  # absence stays -1
    return translated
