"""Drawing: distinct numbers below a count, uniformly, however large the count."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .diagram import INT64_BELOW


def distinct_below(rng: np.random.Generator, count: int, n: int) -> NDArray[Any]:
    """`n` distinct numbers below `count`, or all of them where there are fewer, in random order."""
    if 3 * n >= count:
        return rng.permutation(count)[:n]
    dtype = np.int64 if count < INT64_BELOW else object
    drawn: dict[int, None] = {}  # in the order of drawing
    while len(drawn) < n:
        drawn.update(dict.fromkeys(_uniform(rng, count, n - len(drawn))))
    return np.array(list(drawn), dtype=dtype)


def _uniform(rng: np.random.Generator, count: int, n: int) -> list[int]:
    if count < INT64_BELOW:
        numbers: list[int] = rng.integers(count, size=n).tolist()
        return numbers
    bits = count.bit_length()
    size = (bits + 7) // 8
    drawn = (int.from_bytes(rng.bytes(size), "little") >> (8 * size - bits) for _ in range(2 * n))
    return [number for number in drawn if number < count][:n]
