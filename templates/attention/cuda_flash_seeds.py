"""Guesses for cuda_flash, best first: what was fastest on an H200, by the dims of a head.

All from times of some 50 configs of each of 23 problems, some chosen and some drawn, 2026-11-23.
"""

from __future__ import annotations

from typing import Any

from ...spaces.problems import Problem
from ...spaces.targets import Gpu, Target
from .cuda_flash_space import ROWS

_Row = tuple[int, int, int, int, bool, str, int, str, int]

_NARROW: tuple[_Row, ...] = (
    # WARPGROUPS, RESIDENT, BLOCK_N, STAGES, PINGPONG, SCHEDULE, SECTION, STORE, PRODUCER_REGISTERS
    (1, 3, 96, 2, False, "blocks", 16, "reuse", 24),
    (1, 2, 128, 2, False, "dynamic", 16, "tma", 40),
    (3, 1, 128, 2, True, "blocks", 8, "reuse", 32),
    (1, 3, 80, 2, False, "blocks", 16, "reuse", 24),
    (1, 3, 64, 2, False, "blocks", 16, "reuse", 24),
    (1, 2, 128, 2, False, "blocks", 16, "reuse", 24),
    (3, 1, 112, 2, True, "dynamic", 16, "tma", 56),
    (2, 1, 128, 2, True, "dynamic", 16, "tma", 40),
    (1, 3, 80, 1, False, "blocks", 32, "reuse", 24),
    (1, 3, 80, 3, False, "blocks", 128, "reuse", 24),
)
"""Up to 80 dims of a head: exponentials take as long as products, and blocks that know nothing of each other overlap
them better than warpgroups that take turns."""

_WIDE: tuple[_Row, ...] = (
    (2, 1, 128, 2, True, "blocks", 4, "reuse", 24),
    (2, 1, 176, 2, True, "blocks", 4, "reuse", 24),
    (2, 1, 112, 2, True, "dynamic", 8, "tma", 40),
    (2, 1, 112, 2, True, "static", 256, "tma", 24),
    (2, 1, 128, 2, True, "blocks", 8, "reuse", 24),
    (2, 1, 128, 2, True, "static", 2, "tma", 24),
    (2, 1, 128, 2, True, "dynamic", 8, "tma", 40),
    (2, 1, 96, 2, True, "dynamic", 8, "tma", 40),
    (2, 1, 112, 2, True, "dynamic", 256, "tma", 40),
    (1, 2, 64, 2, False, "blocks", 8, "reuse", 24),
    (2, 1, 144, 2, False, "blocks", 4, "reuse", 24),
    (3, 1, 80, 2, True, "blocks", 4, "reuse", 32),
    (3, 1, 96, 2, True, "blocks", 16, "reuse", 56),
)
"""Up to 128."""

_LARGE: tuple[_Row, ...] = (
    (2, 1, 80, 2, False, "blocks", 4, "reuse", 24),
    (2, 1, 80, 2, True, "blocks", 4, "reuse", 24),
    (2, 1, 64, 2, False, "blocks", 4, "reuse", 24),
    (2, 1, 64, 2, True, "static", 8, "reuse", 24),
    (2, 1, 48, 2, True, "blocks", 4, "reuse", 24),
)
"""More: few keys fit."""

_FEW: tuple[_Row, ...] = (
    (1, 1, 64, 2, False, "blocks", 8, "reuse", 24),
    (1, 1, 80, 2, False, "blocks", 8, "reuse", 24),
    (1, 1, 128, 2, False, "blocks", 8, "reuse", 24),
)
"""Before the others, where tiles of two warpgroups are fewer than multiprocessors."""

MOST_NARROW, MOST_WIDE = 80, 128


def seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Of the list for these dims of a head."""
    assert isinstance(target.device, Gpu)
    d, heads = problem.dim("d"), problem.dim("b") * problem.dim("h")
    listed = _NARROW if d <= MOST_NARROW else _WIDE if d <= MOST_WIDE else _LARGE
    if -(-problem.dim("s") // (2 * ROWS)) * heads < target.device.sm_count:
        listed = (*_FEW, *listed)
    names = ("WARPGROUPS", "RESIDENT", "BLOCK_N", "STAGES", "PINGPONG", "SCHEDULE", "SECTION", "STORE")
    same = {"OVERLAP": True, "RESCALE": "always", "LOOPS": "split"}
    return [same | dict(zip((*names, "PRODUCER_REGISTERS"), row, strict=True)) for row in listed]
