"""Guesses for cuda_flash, best first: what was fastest on an H200, by the dims of a head."""

from __future__ import annotations

from typing import Any

from ...spaces.problems import Problem
from ...spaces.targets import Target

_Rows = tuple[tuple[int, int, int, str, int, str, int, dict[str, Any]], ...]

_NARROW: _Rows = (
    # WARPGROUPS, BLOCK_N, STAGES, SCHEDULE, SECTION, STORE, PRODUCER_REGISTERS, changes
    (3, 128, 2, "blocks", 16, "reuse", 32, {}),
    (2, 128, 2, "dynamic", 16, "reuse", 40, {}),
    (2, 128, 2, "static", 256, "reuse", 24, {}),
    (2, 128, 2, "blocks", 16, "reuse", 24, {"OVERLAP": False}),
    (3, 96, 3, "blocks", 16, "reuse", 32, {}),
    (2, 160, 2, "blocks", 8, "reuse", 24, {}),
    (3, 112, 2, "blocks", 16, "reuse", 32, {}),
    (2, 128, 3, "blocks", 8, "reuse", 24, {"LOOPS": "branch"}),
)
"""Up to 80 dims of a head."""

_WIDE: _Rows = (
    (2, 128, 2, "blocks", 8, "reuse", 24, {}),
    (2, 176, 2, "blocks", 4, "reuse", 24, {}),
    (2, 128, 2, "static", 256, "reuse", 24, {}),
    (2, 112, 2, "dynamic", 256, "tma", 40, {}),
    (2, 128, 2, "dynamic", 8, "direct", 40, {}),
    (2, 144, 2, "blocks", 4, "reuse", 24, {"PINGPONG": False}),
    (2, 128, 2, "blocks", 4, "reuse", 24, {"LOOPS": "branch"}),
    (3, 80, 2, "blocks", 4, "reuse", 32, {}),
    (2, 96, 3, "static", 8, "reuse", 24, {}),
    (1, 128, 2, "blocks", 4, "reuse", 24, {"PINGPONG": False}),
)
"""More. Both lists from times of 28 configs of 11 problems, 2026-11-23."""

_LARGE: _Rows = (
    (2, 80, 2, "blocks", 4, "reuse", 24, {}),
    (2, 64, 2, "blocks", 4, "reuse", 24, {}),
    (2, 64, 2, "static", 8, "reuse", 24, {}),
    (2, 80, 2, "blocks", 4, "reuse", 24, {"OVERLAP": False}),
    (2, 48, 3, "blocks", 4, "reuse", 24, {}),
)
"""More than 128, of which few keys fit."""

MOST_NARROW, MOST_WIDE = 80, 128


def seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Of the list for these dims of a head."""
    d = problem.dim("d")
    listed = _NARROW if d <= MOST_NARROW else _WIDE if d <= MOST_WIDE else _LARGE
    names = ("WARPGROUPS", "BLOCK_N", "STAGES", "SCHEDULE", "SECTION", "STORE", "PRODUCER_REGISTERS")
    return [
        {"OVERLAP": True, "PINGPONG": True, "RESCALE": "always", "LOOPS": "split"}
        | dict(zip(names, row[:-1], strict=True))
        | row[-1]
        for row in listed
    ]
