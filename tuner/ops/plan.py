"""Plan: which kernel answers a call, and why."""

from __future__ import annotations

from dataclasses import dataclass

from ...cache.records import Answer
from ...spaces.problems import Problem


@dataclass(frozen=True, slots=True)
class Plan:
    """What a call of an op runs; the same for every call with arrays of these shapes, strides and dtypes."""

    kernel: str  # the template, or the vendor's function: "triton_tiled", "torch.matmul"
    reason: str  # why this one
    device: str  # "cpu", "cuda:0"
    problem: Problem | None  # as it lies in memory: `b.T` under layout nn is an nt; None for an empty product
    answer: Answer | None = None  # what was looked up; None for the vendor
    copied: tuple[str, ...] = ()  # arguments copied at every call: the kernel cannot take them as they lie

    @property
    def is_tuned(self) -> bool:
        """Whether a kernel of ours runs."""
        return self.answer is not None

    def __str__(self) -> str:
        copies = f"; copied at every call: {', '.join(self.copied)}" if self.copied else ""
        return f"{self.kernel} on {self.device}: {self.reason}{copies}"
