"""Sampler: the port that chooses which feasible config is tried next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...spaces.feasible import FeasibleSpace


@dataclass(frozen=True, slots=True, eq=False)
class KnownRows:
    """Results of another problem or device that a search may start from."""

    source: str  # whose they are, for people
    feasible: FeasibleSpace  # of the same kernel: parameters go by name, values need not all be the same
    rows: NDArray[np.int64]
    times_us: NDArray[np.float64]  # of each row; NaN where it failed


class Sampler(Protocol):
    """Chooses rows of one FeasibleSpace, each once. Pure given its seed and what it was told. Not thread-safe."""

    def ask(self) -> int | None:
        """A row of its own choice that nobody saw yet; None when none is left."""

    def claim(self, row: int) -> bool:
        """Take this row as if it had been chosen; False if it was seen before."""

    def tell(self, row: int, median_us: float | None) -> None:
        """What came of a row: its time, or None for a failure. Rows never asked for (known from before) count too."""


class SamplerMaker(Protocol):
    """Makes a sampler of one kind; what an entry point of the group `kerntune.samplers` names.

    One that can start from what is known of others has the attribute `learns = True` and takes `known=` as well, a
    sequence of KnownRows.
    """

    def __call__(self, feasible: FeasibleSpace, seed: int, **known: Any) -> Sampler: ...
