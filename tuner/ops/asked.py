"""What an op's call asks for: the port between its front and the planner, and a call that makes sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ...spaces.problems import Problem
from .arrays import Library, VendorCall, View

ALIGNED_BYTES = 16
"""Of every array a GPU kernel is given: TMA and the widest loads take no less (templates/tensor_map.py)."""


@dataclass(frozen=True, slots=True)
class Output:
    """An array that a call makes."""

    shape: tuple[int, ...]  # as the caller sees it
    dtype: str
    swapped: bool = False  # dims 1 and 2 lie the other way round in memory

    @property
    def stored(self) -> tuple[int, ...]:
        """Its shape in memory."""
        if not self.swapped:
            return self.shape
        first, one, other, *rest = self.shape
        return (first, other, one, *rest)


@dataclass(frozen=True, slots=True)
class Request:
    """A call that makes sense."""

    problem: Problem  # as it lies in memory; of an empty one with dims of 1 for those that are 0
    outputs: tuple[Output, ...]  # `out` may stand for the first
    device: str
    empty: bool  # the first output has no elements, or sums have no terms
    uneven: tuple[str, ...]  # arguments that no kernel of ours takes as they lie
    turned: tuple[str, ...]  # arguments that lie as their transpose
    moved_bytes: int  # what copying the uneven ones reads and writes
    numbers: Mapping[str, float] = field(default_factory=dict)  # what kernels take in place of their own, by argument
    refusal: str | None = None  # why no kernel of ours may run it, whatever is tuned


class Asked(Protocol):
    """What one call says beside its arrays."""

    def read(self, views: Mapping[str, View]) -> Request:
        """The request of views by argument name. Raises: UsageError, with what is off, where, and how to mend it."""

    def vendor(self, library: Library, request: Request) -> VendorCall | str:
        """What computes it without us; or the reason why there is nothing."""

    def of_copies(self, request: Request) -> Asked:
        """The same of the copies that are made of what is uneven."""
