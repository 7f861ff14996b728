"""Workload: the arrays of one problem on one device, enough sets of them to keep its caches cold."""

from __future__ import annotations

from collections.abc import Mapping

from ...cache.records import Policy
from ...spaces.problems import Problem
from ...templates.op import Array, Buffer, Op
from .device import Device
from .guards import GuardedSet

MAX_SETS = 2048
"""Sets of a tiny problem; more of them would measure page tables, not caches."""

Set = Mapping[str, Array]


def set_count(bytes_per_set: int, cache_bytes: int, policy: Policy) -> int:
    """Sets to rotate over: one when warm; when cold, more than twice the last cache in all."""
    if policy.cache == "warm":
        return 1
    return min(MAX_SETS, 2 * cache_bytes // bytes_per_set + 1)


class Workload:
    """Sets of arrays by buffer name, which are timed, and one with guards around it, in which kernels are checked."""

    def __init__(self, op: Op, problem: Problem, policy: Policy, device: Device, seed: int) -> None:
        self.op, self.problem, self.policy, self.device = op, problem, policy, device
        self.buffers = op.buffers(problem)
        count = set_count(sum(buffer.bytes for buffer in self.buffers), device.cache_bytes, policy)
        self.sets = [self._fresh(seed + turn) for turn in range(count)]
        self._guarded: GuardedSet | None = None  # made when first needed, and kept

    def refresh(self, seed: int) -> Set:
        """New random inputs and a poisoned output in set 0."""
        self.sets[0] = self._fresh(seed)
        return self.sets[0]

    def guarded(self, seed: int) -> GuardedSet:
        """The set that is checked, with new random inputs."""
        if self._guarded is None:
            self._guarded = self.device.guarded(self.buffers)
        for turn, buffer in enumerate(self.buffers):
            if buffer.role == "input":
                self._guarded.arrays[buffer.name][...] = self.device.random(buffer, 7 * seed + turn)
        return self._guarded

    def names(self, role: str) -> list[str]:
        """Buffers of a role: `input`, `output`."""
        return [buffer.name for buffer in self.buffers if buffer.role == role]

    def _fresh(self, seed: int) -> Set:
        return {buffer.name: self._filled(buffer, 7 * seed + turn) for turn, buffer in enumerate(self.buffers)}

    def _filled(self, buffer: Buffer, seed: int) -> Array:
        if buffer.role == "input":
            return self.device.random(buffer, seed)
        array = self.device.empty(buffer)
        self.device.poison(array)
        return array
