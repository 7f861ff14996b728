"""RowSampler: the base of Optuna samplers that choose whole feasible configs, by their row."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from .rows import Rows


class RowSampler(BaseSampler):  # type: ignore[misc]  # optuna is not typed for mypy here
    """Subclass with `choose`. What was seen and what came of it is in `rows`; chance is `rng` and that of `rows`."""

    def __init__(self, rows: Rows, seed: int) -> None:
        self.rows = rows
        self.rng = np.random.default_rng([seed, 1])  # another stream than that of `rows`

    @abstractmethod
    def choose(self) -> int:
        """An unseen row; at least one is left. It counts as seen once this returns."""

    def infer_relative_search_space(self, study: Any, trial: FrozenTrial) -> dict[str, Any]:
        return dict(self.rows.distributions)

    def sample_relative(self, study: Any, trial: FrozenTrial, search_space: dict[str, Any]) -> dict[str, Any]:
        return self.rows.point(self.choose())

    def sample_independent(self, study: Any, trial: FrozenTrial, name: str, distribution: Any) -> Any:
        raise AssertionError(f"every parameter is sampled together, {name} was asked for alone")
