"""Budget: how long a study may go on, in trials and in seconds, whichever ends first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..spaces.errors import UsageError


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one study; a trial is one config tried, whatever came of it."""

    trials: int = 200
    time_s: float = 120.0

    def __post_init__(self) -> None:
        if self.trials < 1 or not self.time_s > 0:
            raise UsageError(
                f"a budget of {self.trials} trials and {self.time_s} s holds nothing: both must be above 0."
            )


class Spending:
    """What a running study has used of its budget."""

    def __init__(self, budget: Budget, clock: Callable[[], float], already: int = 0) -> None:
        self.budget = budget
        self.trials = already  # known from an earlier, interrupted run of the same study
        self._clock = clock
        self._started_s = clock()

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._started_s

    @property
    def trials_left(self) -> int:
        return max(0, self.budget.trials - self.trials)

    def end(self, pending: int = 0) -> Literal["trials", "time"] | None:
        """The limit that is reached, or will be once `pending` trials are counted."""
        if self.trials_left <= pending:
            return "trials"
        return "time" if self.elapsed_s >= self.budget.time_s else None

    def is_spent(self, pending: int = 0) -> bool:
        """Whether either limit is reached, or will be once `pending` trials are counted."""
        return self.end(pending) is not None
