"""Host: the device a study runs on, and what can compile and measure for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ..cache.records import Policy
from ..spaces.problems import Problem
from ..spaces.targets import Target
from .engine.engine import Engine


class EngineFactory(Protocol):
    """Makes the engine of one study. Raises: DeviceError where the host cannot tune (no compiler, no driver)."""

    def __call__(self, problem: Problem, policy: Policy) -> Engine: ...


@dataclass(frozen=True)
class Host:
    """A device with its target; `backends` are the kinds of template that run on it."""

    target: Target
    backends: frozenset[str]
    engine: EngineFactory
    memory_bytes: Callable[[], int]  # free for arrays right now
    notes: Mapping[str, str]  # what is missing here, and how to get it
    close: Callable[[], None] = lambda: None
    """End what its engines shared and what stays warm from one study to the next: compile processes, and the child that
    measures on a GPU. Idempotent."""
