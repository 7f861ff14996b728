"""What a config of cuda_flash does: the analytic model's part for tiles of queries that go along their keys."""

from __future__ import annotations

import numpy as np

from ...spaces.problems import Problem
from ...spaces.targets import Gpu, Target
from ..chips import multiprocessor
from ..columns import Columns
from ..roofline import Work

EXPONENTIALS_A_CLOCK = 16.0
"""Of one multiprocessor. Source: CUDA C++ Programming Guide, arithmetic instructions, special functions."""

OTHER_CLOCKS = 0.045
"""Of a score beside its exponential: the maximum, the sum, rounding; six instructions of 128 a clock. Counted."""

TURN_CLOCKS = 220.0
"""Of a block of keys: barriers, the turn of another warpgroup. Fitted as below."""

ALONE = ((1.0, 0.35), (0.3, 0.12))
"""Share of the shorter of products and weights that does not run under the longer, by OVERLAP and PINGPONG. Fitted to
times of 11 problems on an H200, 2026-11-23."""

START_CLOCKS, NEXT_CLOCKS = 2600.0, 1500.0
"""Of a tile beside its keys: the first loads, the last products, O's way out; of one whose block has come before, some
of it runs under another's. Fitted likewise."""

LAUNCH_US = 2.0


def work(problem: Problem, target: Target, of: Columns) -> Work:
    """Of many configs."""
    assert isinstance(target.device, Gpu)
    names = ("BLOCK_M", "BLOCK_N", "STAGES", "tiles", "SECTION", "RESIDENT")
    bm, bn, stages, tiles, section, resident = (of[name].astype(np.float64) for name in names)
    d, s, heads = problem.dim("d"), problem.dim("s"), problem.dim("b") * problem.dim("h")
    element = problem.dim("q_bytes")
    # Pairs that tiles compute: those that are asked for, and half a block and half a tile along each masked edge.
    masked = bool(problem["is_causal"]) or problem.dim("window_size") > 0
    edge = (bm + bn) / 2 if masked else (np.ceil(problem.dim("kv_len") / bn) * bn - problem.dim("kv_len"))
    most = float(problem.dim("kv_len")) * np.ceil(s / bm) * bm
    pairs = np.minimum(problem.dim("pairs") * np.ceil(s / bm) * bm / s + edge * s, np.maximum(most, 1.0))
    blocks = pairs * heads / (bm * bn) / tiles  # of keys, of a tile in the mean
    flops = multiprocessor(target.device).tensor_flops
    products = 4 * bm * bn * d / flops
    weights = bm * bn * (1 / EXPONENTIALS_A_CLOCK + OTHER_CLOCKS)
    alone = np.array(ALONE)[of["OVERLAP"].astype(int), of["PINGPONG"].astype(int)]
    turn = np.maximum(products, weights) + alone * np.minimum(products, weights) + TURN_CLOCKS
    turn = turn * np.where(of["RESCALE"] == "always", 1.0, 1.01) * np.where(stages == 1, 1.3, 1.0)
    ends = np.where(of["SCHEDULE"] == "blocks", START_CLOCKS, NEXT_CLOCKS) + np.where(of["STORE"] == "direct", 600.0, 0)
    clocks = blocks * turn + ends
    # Tiles of unlike lengths, longest first, end nearly together; of equal lengths the last wave costs a whole one.
    count = float(target.device.sm_count)
    waves = np.ceil(tiles / count)
    evened = np.where((tiles > count) & masked, (tiles / count + 0.35) / waves, 1.0)
    loads = tiles * (blocks * 2 * bn + bm) * d * element
    held = np.minimum(section, heads) / problem.dim("group") * 2 * problem.dim("kv_len") * d * element
    again = np.where(held > target.device.l2_bytes * 0.5, 0.15, 0.0)
    return Work(
        blocks=tiles,
        resident=resident,
        core_clocks=clocks * evened,
        wait_clocks=clocks * evened,
        shared_bytes=loads,
        dram_bytes=float(problem.dim("bytes")) + again * loads,
        before_us=np.full(len(tiles), LAUNCH_US),
    )
