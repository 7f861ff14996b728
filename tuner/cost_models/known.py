"""KnownRows: what is known of the same kernel elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

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
    distance: float = 0.0  # how far it is from here (tuner/nearness.py); of several the near ones count more
    estimates_us: NDArray[np.float64] | None = None  # of each row, by an analytic model there; NaN where it has none
