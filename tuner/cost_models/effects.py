"""Effects: by how much each parameter moved the times of a study.

Boosted trees are fitted to the logarithms of the times; each parameter's part in each of them is its Shapley value
(Lundberg et al., "From local explanations to global understanding with explainable AI for trees", Nature Machine
Intelligence 2, 2020; XGBoost's own). PED-ANOVA, which Optuna has, asks instead where the best tenth lies: of a search
that went straight there it finds nothing (docs/report.md has the comparison).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...spaces.config import Config
from ...spaces.expressions import Value

Columns = NDArray[np.float64]

TREES = 80
BOOSTING = {"max_depth": 4, "eta": 0.1, "subsample": 0.8, "lambda": 1.0, "nthread": 1, "seed": 0, "verbosity": 0}

FOLDS = 5
LEAST_CONFIGS = 20
"""Below, trees cannot tell a parameter from chance."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What a model of a study's times says of its parameters."""

    by_parameter: dict[str, float]  # mean share by which its value moves the time, largest first: 0.12 is 12 %
    explained: float  # part of the variance of log times it foretells of configs it has not seen; at most 1


def effects(configs: Sequence[Config], times_us: Sequence[float]) -> Effects | None:
    """The effects of the parameters that differ among these configs; None where there are too few, or all are equal.

    A conditional parameter has a part of its own where it is there, and where it is absent.
    """
    names = [name for name in _names(configs) if len({_kind(config.get(name)) for config in configs}) > 1]
    log_times = np.log(np.asarray(times_us, dtype=np.float64))
    if len(configs) < LEAST_CONFIGS or not names or np.ptp(log_times) == 0:
        return None
    owners, columns = _columns(names, configs)
    parts = np.abs(_by_owner(owners, _contributions(columns, log_times))).mean(axis=1)
    moved = {name: math.expm1(part) for name, part in zip(names, parts.tolist(), strict=True)}
    order = sorted(moved, key=lambda name: (-moved[name], name))
    return Effects({name: moved[name] for name in order}, _explained(columns, log_times))


def _names(configs: Sequence[Config]) -> list[str]:
    return list(dict.fromkeys(name for config in configs for name in config))


def _kind(value: Value | None) -> tuple[str, str]:
    """A value apart from others that Python calls equal to it, as 1 and True."""
    return type(value).__name__, str(value)


def _columns(names: Sequence[str], configs: Sequence[Config]) -> tuple[NDArray[np.int64], Columns]:
    """Numbers as they are, a column for each value of what is none; NaN where a parameter is absent.

    With the columns [configs, features], the place in `names` of each one's parameter.
    """
    owners, columns = [], []
    for place, name in enumerate(names):
        values = [config.get(name) for config in configs]
        for column in _of_parameter(values):
            owners.append(place)
            columns.append(column)
    return np.array(owners), np.array(columns).T


def _of_parameter(values: Sequence[Value | None]) -> list[list[float]]:
    there = [value for value in values if value is not None]
    if all(isinstance(value, int | float) for value in there):
        return [[math.nan if value is None else float(value) for value in values]]
    listed = sorted({str(value) for value in there})
    return [[math.nan if value is None else float(str(value) == one) for value in values] for one in listed]


def _by_owner(owners: NDArray[np.int64], parts: Columns) -> Columns:
    """Parts [configs, features] added up by parameter [parameters, configs]."""
    total = np.zeros((int(owners.max()) + 1, len(parts)))
    np.add.at(total, owners, parts.T)
    return total


def _contributions(columns: Columns, log_times: Columns) -> Columns:
    import xgboost

    parts = _fitted(columns, log_times).predict(xgboost.DMatrix(columns), pred_contribs=True)
    contributions: Columns = np.asarray(parts[:, :-1], dtype=np.float64)  # the last one is the mean
    return contributions


def _explained(columns: Columns, log_times: Columns) -> float:
    import xgboost

    fold = np.random.default_rng(0).permutation(len(log_times)) % FOLDS
    missed = np.zeros(len(log_times))
    for held_out in range(FOLDS):
        kept = fold != held_out
        foretold = _fitted(columns[kept], log_times[kept]).predict(xgboost.DMatrix(columns[~kept]))
        missed[~kept] = log_times[~kept] - (foretold + log_times[kept].mean())
    return max(0.0, 1.0 - float(np.mean(missed**2) / log_times.var()))


def _fitted(columns: Columns, log_times: Columns) -> Any:
    import xgboost

    data = xgboost.DMatrix(columns, log_times - log_times.mean())
    return xgboost.train({**BOOSTING, "base_score": 0.0}, data, TREES)
