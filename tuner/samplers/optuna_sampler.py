"""Optuna's samplers over feasible configs only: ask and tell on an in-memory study."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable
from typing import Any

import optuna
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from ...spaces.feasible import FeasibleSpace
from .rows import Rows
from .sampler import expected_gain


class TpeRows(TPESampler):  # type: ignore[misc]  # optuna is not typed for mypy here
    """Optuna's multivariate TPE; each proposal is moved to the nearest unseen feasible config."""

    def __init__(self, rows: Rows, seed: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # multivariate, constant_liar
            super().__init__(seed=seed, multivariate=True, constant_liar=True)
        self._rows = rows

    def infer_relative_search_space(self, study: Any, trial: FrozenTrial) -> dict[str, Any]:
        return dict(self._rows.distributions)

    def sample_relative(self, study: Any, trial: FrozenTrial, search_space: dict[str, Any]) -> dict[str, Any]:
        proposed = super().sample_relative(study, trial, search_space)  # empty during its start-up trials
        row = self._rows.nearest(proposed) if proposed else self._rows.random()
        return self._rows.point(row)


class OptunaSampler:
    """Sampler over an Optuna study in memory. Times are told as logarithms: a ratio matters, not a difference."""

    def __init__(self, feasible: FeasibleSpace, make: Callable[[Rows, int], BaseSampler], seed: int) -> None:
        logging.getLogger("optuna").setLevel(logging.WARNING)  # a line per trial would break the progress view
        self._rows = Rows(feasible, seed)
        self._made = make(self._rows, seed)
        self._study = optuna.create_study(sampler=self._made)
        self._asked: dict[int, optuna.Trial] = {}

    def ask(self) -> int | None:
        if self._rows.exhausted:
            return None
        trial = self._study.ask(self._rows.distributions)
        row = self._rows.row(trial.params)
        self._rows.see(row)
        self._asked[row] = trial
        return row

    def claim(self, row: int) -> bool:
        return self._rows.see(row)  # a trial of the study once it is told

    def expected_gain(self) -> float | None:
        return expected_gain(self._made)

    def tell(self, row: int, median_us: float | None) -> None:
        self._rows.note(row, median_us)
        state = TrialState.FAIL if median_us is None else TrialState.COMPLETE
        value = None if median_us is None else math.log(median_us)
        if row in self._asked:
            self._study.tell(self._asked.pop(row), value, state=state)
            return
        point, distributions = self._rows.point(row), self._rows.distributions
        self._study.add_trial(
            optuna.trial.create_trial(state=state, value=value, params=point, distributions=distributions)
        )
