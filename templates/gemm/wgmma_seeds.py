"""Guesses for cuda_wgmma: large products, few tiles whose depth is shared out, few rows, an operand in registers.

The analytic model puts them in order; among those that it takes for equal, the first come first.
"""

from __future__ import annotations

from typing import Any

from ...spaces.problems import Problem
from ...spaces.targets import Gpu, Target
from .wgmma_space import LINE_BYTES, SWAPPED_ROWS

_SEEDS = (
    # SCHEDULE, WARPGROUPS, ROWS, BLOCK_N, STAGES, CLUSTER_M, CLUSTER_N, PARTS, GROUP
    ("cooperative", 2, 1, 256, 4, 1, 1, 2, 8),
    ("cooperative", 2, 1, 256, 4, 2, 1, 2, 8),
    ("cooperative", 2, 2, 128, 4, 1, 2, 2, 8),
    ("pingpong", 2, 2, 128, 5, 2, 1, 1, 8),
    ("cooperative", 2, 1, 192, 5, 2, 1, 1, 8),
    ("pingpong", 2, 1, 256, 4, 1, 1, 1, 8),
    ("cooperative", 2, 1, 128, 6, 2, 1, 1, 8),
    ("cooperative", 2, 1, 64, 8, 2, 1, 1, 8),
    ("cooperative", 1, 1, 128, 6, 1, 1, 1, 4),
    ("cooperative", 1, 1, 128, 8, 2, 1, 1, 4),
    ("cooperative", 1, 1, 128, 8, 2, 2, 1, 4),
    ("cooperative", 2, 1, 128, 6, 1, 2, 1, 4),
    ("cooperative", 2, 1, 192, 4, 2, 1, 1, 2),
    ("cooperative", 1, 2, 128, 6, 1, 1, 1, 4),
)
"""For large products. Source of the first: P. Shah, fast.cu (2024): 128 x 256 with clusters of two; of the others:
quack's list for sm_90."""

_FINISHED = (
    # of the list above, STAGES, PARTS, GROUP, OVERLAP, PROGRAMS
    (0, 3, 1, 16, False, "eighths"),
    (0, 3, 1, 16, True, "eighths"),
    (4, 4, 2, 4, False, "all"),
)
"""What won at 2048 x 28672 x 4096, 8192 x 4096 x 14336 and 512 x 6144 x 4096 on an H200, 20 s of search, 2026-11-23."""


_REGISTER_SEEDS = (
    ("cooperative", 2, 1, 256, 4, 1, 1, 1, 8),
    ("cooperative", 2, 1, 256, 4, 2, 1, 1, 8),
    ("cooperative", 2, 2, 128, 4, 1, 1, 1, 8),
    ("cooperative", 1, 2, 64, 8, 1, 1, 1, 4),
    ("cooperative", 2, 2, 128, 4, 2, 1, 1, 8),
    ("cooperative", 2, 2, 128, 4, 1, 2, 1, 8),
    ("pingpong", 2, 2, 128, 6, 1, 1, 1, 8),
    ("pingpong", 2, 2, 128, 6, 2, 1, 1, 8),
    ("cooperative", 1, 2, 128, 6, 1, 1, 1, 4),
    ("cooperative", 2, 2, 64, 5, 1, 1, 1, 4),
    ("cooperative", 2, 2, 160, 4, 1, 1, 1, 8),
)
"""Where one operand goes through registers."""


_SHARES = ({"SPLIT_K": 33}, {"CLUSTER_K": 2, "SPLIT_K": 16}, {"CLUSTER_K": 4, "SPLIT_K": 8})
"""Of the depth, where there are four tiles."""


def seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Guesses for large products; for few tiles, whose depth is shared out; for few rows."""
    names = ("SCHEDULE", "WARPGROUPS", "ROWS", "BLOCK_N", "STAGES", "CLUSTER_M", "CLUSTER_N", "PARTS", "GROUP")
    rest = {"BLOCK_K": 128 // problem.dim("a_bytes"), "STORE": "tma", "ORDER": "m", "OVERLAP": True, "SWAP": False}
    rest |= {"CLUSTER_K": 1, "SPLIT_K": 1, "RESIDENT": 1, "SERPENTINE": False, "PROGRAMS": "all"}
    if problem.dim("a_bytes") == 4 and problem["layout"] != "nt":
        rest |= {"SWAP": problem["layout"] == "nn", "STORE": "direct"}
        turned = [{**rest, **dict(zip(names, values, strict=True))} for values in _REGISTER_SEEDS]
        wide, tall, small = turned[0], turned[2], turned[3]
        turned += [{**seed, "OVERLAP": False} for seed in (wide, tall)]
        turned += [{**small, "CLUSTER_K": 2}, {**tall, "CLUSTER_K": 4}, {**small, "SPLIT_K": 8}]
        return [_fitted(problem, target, seed) for seed in turned]
    large = [{**rest, **dict(zip(names, values, strict=True))} for values in _SEEDS]
    ends = ("STAGES", "PARTS", "GROUP", "OVERLAP", "PROGRAMS")
    won = [{**large[place], "CLUSTER_M": 1, **dict(zip(ends, values, strict=True))} for place, *values in _FINISHED]
    shared = {**large[6], "CLUSTER_M": 1, "STORE": "direct"}
    m = problem.dim("m")
    if m <= SWAPPED_ROWS:
        tokens = next(width for width in (8, 16, 24, 32, 48, 64, 96, 128, 192, 256) if width >= m)
        few = {**shared, "SWAP": True, "BLOCK_N": tokens, "STAGES": 8 if tokens < 128 else 4}
        ways = ({"CLUSTER_K": 4}, {"WARPGROUPS": 1, "CLUSTER_K": 2}, {"CLUSTER_K": 8}, {"CLUSTER_K": 2, "ROWS": 2})
        guesses = [*({**few, **way} for way in ways), *large]
    else:
        guesses = [*won, *large]
    if problem.dim("n") <= 64:
        narrow = {**shared, "WARPGROUPS": 1, "BLOCK_N": max(16, -(-problem.dim("n") // 16) * 16), "STAGES": 8}
        guesses = [{**narrow, "CLUSTER_K": 2}, {**narrow, "CLUSTER_K": 2, "STAGES": 10}, narrow, *guesses]
    deep = [
        {"CLUSTER_M": 2, "SPLIT_K": 2, "STAGES": 6},
        {"ROWS": 2, "STAGES": 4, "CLUSTER_K": 4},
        {"ROWS": 2, "STAGES": 4, "CLUSTER_K": 2},
        {"CLUSTER_K": 4},
        {"CLUSTER_K": 2},
        {"CLUSTER_K": 8, "SPLIT_K": 16, "STAGES": 4},
        {"WARPGROUPS": 1, "ROWS": 2, "SPLIT_K": 2},
        {"WARPGROUPS": 1, "ROWS": 2, "CLUSTER_K": 2},
        *({"WARPGROUPS": 1, "BLOCK_N": 64, "STAGES": 10, **way} for way in _SHARES),
    ]
    fitted = [_fitted(problem, target, seed) for seed in [*guesses, *({**shared, **way} for way in deep)]]
    return [way for seed in fitted for way in _deeper(problem, target, seed)]


def _fitted(problem: Problem, target: Target, seed: dict[str, Any]) -> dict[str, Any]:
    """A seed with the order of tiles that its grid has: the nearest config would rather have other tiles."""
    tall, broad = _grid(problem, seed)
    group = seed["GROUP"]
    while group > 1 and (group > tall or broad == 1):
        group //= 2
    if problem["out_dtype"] not in ("bf16", "fp16"):
        seed = {**seed, "STORE": "direct", "PARTS": 1}
    elif problem.dim("n") % 8 and seed["STORE"] != "direct":
        seed = {**seed, "STORE": "rows"}
    return {**seed, "GROUP": group, **({"PROGRAMS": "all"} if _at_once(problem, target, seed) else {})}


def _deeper(problem: Problem, target: Target, seed: dict[str, Any]) -> list[dict[str, Any]]:
    """A seed; where its blocks have one tile each, it with as many stages as fit, with room for C and in A's room.

    64 x 128 at 1024³ took 6.2 µs with six stages, 5.8 with eight (H200, 2026-11-23).
    """
    assert isinstance(target.device, Gpu)
    if seed["STORE"] != "tma" or not _at_once(problem, target, seed):
        return [seed]
    rows = _rows(seed)
    room = target.device.smem_per_block_bytes - 1040
    stage = (rows + seed["BLOCK_N"]) * LINE_BYTES + 16
    staged = 64 * seed["ROWS"] * seed["WARPGROUPS"] * seed["BLOCK_N"] // seed["PARTS"] * 2
    beside = {**seed, "STAGES": min((room - staged) // stage, 10)}
    return [beside, {**seed, "STORE": "reuse", "PARTS": 1, "STAGES": min(room // stage, 10)}]


def _at_once(problem: Problem, target: Target, seed: dict[str, Any]) -> bool:
    """Whether a block has one tile."""
    assert isinstance(target.device, Gpu)
    tall, broad = _grid(problem, seed)
    blocks = tall * broad * problem.dim("batch") * seed["CLUSTER_M"] * seed["CLUSTER_N"]
    return bool(blocks <= target.device.sm_count * seed["RESIDENT"])


def _grid(problem: Problem, seed: dict[str, Any]) -> tuple[int, int]:
    """Rows and columns of clusters' tiles."""
    m, n = (problem.dim(dim) for dim in ("nm" if seed["SWAP"] else "mn"))
    return -(-m // (_rows(seed) * seed["CLUSTER_M"])), -(-n // (seed["BLOCK_N"] * seed["CLUSTER_N"]))


def _rows(seed: dict[str, Any]) -> int:
    """Of a tile."""
    return int(64 * seed["ROWS"] * (1 if seed["SCHEDULE"] == "pingpong" else seed["WARPGROUPS"]))
