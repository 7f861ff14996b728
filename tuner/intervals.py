"""How well a median is known: its interval, whatever the distribution, and its standard error."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import lru_cache

_NORMAL_MAD = 1.4826
"""Standard deviations of a normal distribution in one median absolute deviation (Hampel 1974)."""

_MEDIAN_ERROR = math.sqrt(math.pi / 2)
"""Standard error of the median over that of the mean, for normal data."""


def median_interval(samples: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Two order statistics that hold the median between them with at least `level` confidence.

    Distribution-free: the number of samples below the median is binomial (David and Nagaraja, Order Statistics, 7.1;
    Hahn and Meeker, Statistical Intervals, 5.2). Fewer samples than that takes (six at 95 %) bound nothing: (0, inf).
    """
    rank = _rank(len(samples), level)
    if rank < 0:
        return 0.0, math.inf
    ordered = sorted(samples)
    return ordered[rank], ordered[-1 - rank]


def median_error(samples: Sequence[float]) -> float:
    """Standard error of the median, from the median absolute deviation: no outlier moves it."""
    middle = statistics.median(samples)
    deviation = statistics.median(abs(sample - middle) for sample in samples)
    return _MEDIAN_ERROR * _NORMAL_MAD * deviation / math.sqrt(len(samples))


@lru_cache(maxsize=4096)
def _rank(count: int, level: float) -> int:
    """How many samples may be left out at each end; -1 where all of them are too few."""
    outside, rank = 0.0, -1
    for below in range(count // 2):
        outside += math.comb(count, below) / 2**count
        if 1 - 2 * outside < level:
            break
        rank = below
    return rank
