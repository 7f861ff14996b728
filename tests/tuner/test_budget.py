"""Budget: trials or seconds, whichever ends first."""

import pytest
from fakes import Clock
from kerntune.spaces.errors import UsageError
from kerntune.tuner.budget import Budget, Spending


def test_whichever_limit_comes_first_ends_the_study():
    """Known trials count; time counts from the start."""
    clock = Clock()
    clock.now_s = 100.0
    spending = Spending(Budget(trials=3, time_s=10.0), clock, already=1)
    assert (spending.trials_left, spending.is_spent()) == (2, False)
    clock.now_s = 109.9
    assert not spending.is_spent()
    clock.now_s = 110.0
    assert spending.is_spent()
    spending = Spending(Budget(trials=3, time_s=10.0), clock)
    spending.trials = 5
    assert (spending.trials_left, spending.is_spent()) == (0, True)


@pytest.mark.parametrize("budget", [{"trials": 0}, {"time_s": 0.0}, {"time_s": float("nan")}])
def test_a_budget_that_holds_nothing_is_refused(budget):
    """Not a number is not a time."""
    with pytest.raises(UsageError, match="both must be above 0"):
        Budget(**budget)
