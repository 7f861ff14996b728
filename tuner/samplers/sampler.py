"""Sampler: the port that chooses which feasible config is tried next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ...spaces.feasible import FeasibleSpace


class Sampler(Protocol):
    """Chooses rows of one FeasibleSpace, each once. Pure given its seed and what it was told. Not thread-safe."""

    def ask(self) -> int | None:
        """A row of its own choice that nobody saw yet; None when none is left."""

    def claim(self, row: int) -> bool:
        """Take this row as if it had been chosen; False if it was seen before."""

    def tell(self, row: int, median_us: float | None) -> None:
        """What came of a row: its time, or None for a failure. Rows never asked for (known from before) count too."""


def expected_gain(sampler: object) -> float | None:
    """By how much the sampler expects its next config to beat the best, as a share of it; None where it cannot say.

    It says so by a method of this name, which need not be there.
    """
    says: Callable[[], float | None] | None = getattr(sampler, "expected_gain", None)
    return None if says is None else says()


class SamplerMaker(Protocol):
    """Makes a sampler of one kind; what an entry point of the group `kerntune.samplers` names.

    One that can start from what is known of others has the attribute `learns = True` and takes `known=` as well, a
    sequence of KnownRows. One that can use the analytic model has `estimates = True` and takes `estimate=`: a function
    of rows that gives the µs predicted for each, or None where the kernel has no model.
    """

    def __call__(self, feasible: FeasibleSpace, seed: int, **told: Any) -> Sampler: ...
