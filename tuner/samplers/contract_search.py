"""Search: a sampler at work for the contract suite, every answer of its held against the rules of the port."""

from __future__ import annotations

import operator
from collections.abc import Callable

from ...spaces.feasible import FeasibleSpace
from .sampler import Sampler

Outcome = Callable[[int], float | None]
"""µs of a row, None where it fails."""


class Search:
    """One sampler in one space. Every method raises AssertionError with the rule that was broken."""

    def __init__(self, who: str, feasible: FeasibleSpace, seed: int, sampler: Sampler) -> None:
        self.feasible, self.seed, self.sampler = feasible, seed, sampler
        self._who = who
        self._seen: dict[int, str] = {}  # row -> how

    def __str__(self) -> str:
        return (
            f"{self._who}, seed {self.seed}, space {self.feasible.declaration.name} ({self.feasible.total:,} configs)"
        )

    @property
    def seen(self) -> list[int]:
        """Rows in the order in which they were proposed, claimed or first told."""
        return list(self._seen)

    def ask(self) -> int:
        """A row that is feasible and new."""
        answer = self.sampler.ask()
        check(answer is not None, f"{self}: gave None though {self._left():,} rows are unseen. None is the end.")
        return self._proposed(answer)

    def tell(self, row: int, median_us: float | None) -> None:
        self.sampler.tell(row, median_us)
        self._seen.setdefault(row, "told of")

    def claim(self, row: int, free: bool, why: str) -> None:
        """Claim a row and hold the answer against whether it was free."""
        answer = self.sampler.claim(row)
        wanted = f"{self}: claim({self._named(row)}) gave {answer!r}; {free} is right: {why}."
        check(answer == free, wanted)
        self._seen.setdefault(row, "claimed")

    def to_the_end(self, outcome: Outcome | None) -> None:
        """Every row that is left, then None; rows are told their outcome if there is one."""
        while self._left():
            row = self.ask()
            if outcome is not None:
                self.tell(row, outcome(row))
        self.end()

    def end(self) -> None:
        """None, however often it is asked."""
        for _ in range(2):
            answer = self.sampler.ask()
            check(answer is None, f"{self}: gave row {answer!r} when every row was seen. Then it is None.")

    def _left(self) -> int:
        return self.feasible.total - len(self._seen)

    def _proposed(self, answer: object) -> int:
        try:
            row = operator.index(answer)  # type: ignore[arg-type]  # NumPy's integers are fine
        except TypeError:
            raise AssertionError(f"{self}: gave {answer!r}. A row is an integer: the config's place.") from None
        last = self.feasible.total - 1
        check(0 <= row <= last, f"{self}: gave row {row:,}. Rows are 0 … {last:,}: no other is feasible.")
        before = self._seen.get(row)
        check(before is None, f"{self}: gave {self._named(row)}, which was {before} before. A row is given once.")
        self._seen[row] = f"proposed (as number {len(self._seen) + 1})"
        return row

    def _named(self, row: int) -> str:
        return f"row {row:,} ({self.feasible[row]!r})"


def check(holds: bool, words: str) -> None:
    """An AssertionError that `python -O` keeps."""
    if not holds:
        raise AssertionError(words)
