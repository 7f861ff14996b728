"""How often one may ask: a bucket of tokens for each. Pure: the clock is handed in."""

from __future__ import annotations

MOST_BUCKETS = 10_000


class Rates:
    """`per_s` requests a second for each, and `burst` at once. Each process counts for itself."""

    def __init__(self, per_s: float, burst: float, most: int = MOST_BUCKETS) -> None:
        self._per_s, self._burst, self._most = per_s, burst, most
        self._buckets: dict[str, list[float]] = {}  # tokens, and when they were counted

    def take(self, who: str, now_s: float) -> float:
        """0 where one may go on; else in how many seconds to come again."""
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = [self._burst, now_s]
            if len(self._buckets) > self._most:
                del self._buckets[next(iter(self._buckets))]
        tokens = bucket[0] + (now_s - bucket[1]) * self._per_s
        if tokens > self._burst:
            tokens = self._burst
        bucket[1] = now_s
        if tokens >= 1.0:
            bucket[0] = tokens - 1.0
            return 0.0
        bucket[0] = tokens
        return (1.0 - tokens) / self._per_s
