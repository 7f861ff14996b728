"""What a config of cuda_flash does: the analytic model's part for tiles of queries that go along their keys.

All numbers were fitted to 643 times of 14 problems on an H200 (2026-11-23): the ranks of estimates and times correlate
by .92 in the mean; of the best of some 46 configs, the first by this model reached .984, the best of its first three
.999.
"""

from __future__ import annotations

import numpy as np

from ...spaces.problems import Problem
from ...spaces.targets import Gpu, Target
from ..chips import multiprocessor
from ..columns import Columns
from ..roofline import Work
from .cuda_flash_space import ROWS

WEIGHT_CLOCKS = 0.1
"""Of a score from product to weight, where all four schedulers have more than one warp; more than its exponential, for
the maximum, the sum and rounding take as long."""

ALONE_CLOCKS = 0.22
"""Of a score where a scheduler has one warp, which waits for its own instructions."""

TURN_CLOCKS = 330.0
"""Of a block of keys: barriers, the turn of another warpgroup."""

HIDDEN = ((0.7, 0.7), (0.8, 0.9))
"""Share of the shorter of products and weights that runs under the longer, by OVERLAP and PINGPONG."""

START_CLOCKS, NEXT_CLOCKS = 950.0, 310.0
"""Of a tile beside its keys: the first loads, the last products, O's way out; of one whose block has come before, some
of it runs under another's."""

SHARED_CLOCKS = 250.0
"""Of a block of keys and a warpgroup, that its neighbours cannot use."""

DIRECT_CLOCKS = 670.0
"""That O takes more where each thread stores what it has."""

RESCALE_CLOCKS = {"always": 0.0, "moved": 90.0, "far": 67.0}
"""Of a block of keys: to ask whether a maximum moved costs more than to multiply."""

BRANCH_CLOCKS = 37.0
"""Of a block of keys: to ask whether it is masked, and products that end at the question."""

SINGLE_STAGE = 1.07
"""How much longer a turn takes where nothing is loaded ahead."""

EVENED = 0.18
"""Of a tile: how unlike the ends of a schedule are where the longest tiles come first."""

UNEVEN = 1.2
"""Of rounds whose tiles are not of one length: those of a static schedule where heads come in sections."""

SHARE_OF_L2, AGAIN = 0.75, 0.3
"""That keys of the heads at work may take up; share of loads that come from memory again where they take more."""

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
    rows = np.ceil(s / bm) * bm
    pairs = np.minimum(
        problem.dim("pairs") / problem.dim("b") * rows / s + edge * rows, problem.dim("kv_len") * rows + edge
    )
    blocks = np.maximum(pairs / (bm * bn) / (rows / bm), 1.0)  # of keys, of a tile in the mean
    products = 4 * bm * bn * d / multiprocessor(target.device).tensor_flops
    groups = bm / ROWS
    weights = bm * bn * WEIGHT_CLOCKS
    slower = np.maximum(weights, ROWS * bn * ALONE_CLOCKS)  # of warpgroups that nobody keeps company
    hidden = np.array(HIDDEN)[of["OVERLAP"].astype(int), of["PINGPONG"].astype(int)]
    beside = TURN_CLOCKS + np.where(of["LOOPS"] == "branch", BRANCH_CLOCKS, 0.0)
    for way, more in RESCALE_CLOCKS.items():
        beside = beside + np.where(of["RESCALE"] == way, more, 0.0)
    longest = np.maximum(products, slower) + (1 - hidden) * np.minimum(products, slower) + beside
    longest = longest * np.where(stages == 1, SINGLE_STAGE, 1.0)
    ends = np.where(of["SCHEDULE"] == "blocks", START_CLOCKS, NEXT_CLOCKS)
    ends = ends + np.where(of["STORE"] == "direct", DIRECT_CLOCKS, 0.0)
    wait = blocks * longest + ends
    core = np.where(resident > 1, blocks * (np.maximum(products, weights) + SHARED_CLOCKS * groups), wait)
    # Tiles of unlike lengths, longest first, end nearly together; of equal lengths the last wave costs a whole one.
    count = float(target.device.sm_count)
    waves = np.ceil(tiles / count)
    evened = np.where((tiles > count) & masked, (tiles / count + EVENED) / waves, 1.0)
    uneven = (of["SCHEDULE"] == "static") & (section < heads) & (tiles > count) & masked
    evened = evened * np.where(uneven, UNEVEN, 1.0)
    loads = tiles * (blocks * 2 * bn + bm) * d * element
    held = np.minimum(section, heads) / problem.dim("group") * 2 * problem.dim("kv_len") * d * element
    again = np.where(held > target.device.l2_bytes * SHARE_OF_L2, AGAIN, 0.0)
    return Work(
        blocks=tiles,
        resident=resident,
        core_clocks=core * evened,
        wait_clocks=wait * evened,
        shared_bytes=loads,
        dram_bytes=float(problem.dim("bytes")) + again * loads,
        before_us=np.full(len(tiles), LAUNCH_US),
    )
