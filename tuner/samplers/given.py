"""The sampler that asks for nothing: only what a study is given is tried."""

from __future__ import annotations


class GivenRows:
    """Lets each row be claimed once, and has no choice of its own."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def ask(self) -> int | None:
        return None

    def claim(self, row: int) -> bool:
        if row in self._seen:
            return False
        self._seen.add(row)
        return True

    def tell(self, row: int, median_us: float | None) -> None:
        self._seen.add(row)
