"""What a config of triton_decode does: the analytic model's part for keys that are streamed once.

Bytes under way decide, and that all programs are there at once. Its numbers were fitted to 180 times of two problems (8
x 32 heads with 8 of 8,192 keys, 64 x 32 with 8 of 2,048; bf16, d 128, H200, cold caches, CUDA graphs, 2026-11-23).
"""

from __future__ import annotations

import numpy as np

from ...spaces.problems import DTYPE_BYTES, Problem
from ...spaces.targets import Gpu, Target
from ..chips import SMEM_BYTES_A_CLOCK, multiprocessor, resident_blocks
from ..columns import Columns
from ..roofline import SHARED_BYTES_A_CLOCK, Work

LOAD_CLOCKS, TURN_CLOCKS, WARP_CLOCKS, START_CLOCKS, START_SHARE = 1000.0, 250.0, 40.0, 800.0, 0.25
"""From a load to its data; a turn beside loads and products: maxima, sums and exponentials that wait for each other,
and for each warp; a block beside its loop, and its share that keeps others waiting."""

WAVE_SHARE, IDLE_SHARE = 0.05, 0.15
"""Of the time for all bytes, lost where programs come one after another: while one ends, the next one's loads begin;
and by the share of places that the last of them leave empty."""

LAUNCH_US, SECOND_US = 2.0, 2.5
"""To the first block of a kernel and from its last; what a second kernel costs after it."""

ARRIVAL_CLOCKS = 2000.0
"""From the store of partial sums to the arrival counted, and from there to the first of all: three ways to L2."""

SHARE_OF_TENSOR_CORES, SLOTS = 0.2, 56.0
"""That a small tile reaches; registers of a thread beside what the space counts."""


def work(problem: Problem, target: Target, of: Columns) -> Work:
    """Of many configs."""
    assert isinstance(target.device, Gpu)
    device, chip = target.device, multiprocessor(target.device)
    b, s, d, kv_heads = (problem.dim(name) for name in ("b", "s", "d", "kv_heads"))
    rows, element = s * problem.dim("group"), DTYPE_BYTES[str(problem["dtype"])]
    names = ("BLOCK_N", "num_warps", "num_stages", "SPLITS", "row_block", "row_tiles", "d_block", "seen", "smem_bytes")
    bn, warps, stages, splits, rb, tiles, db, seen, smem = (of[name].astype(np.float64) for name in names)
    vector, split = of["PRODUCT"] == "vector", splits > 1
    blocks, turns = b * kv_heads * tiles * splits, np.ceil(np.ceil(seen / bn) / splits)
    loaded = 2 * bn * d * element  # bytes, a turn

    products = 4 * rb * bn * db
    dots = chip.fp32_flops / 2 if problem["dtype"] == "fp32" else chip.tensor_flops * SHARE_OF_TENSOR_CORES
    vectors = (7 * rb + 5) * bn * db * 2 / chip.fp32_flops
    busy = np.where(vector, vectors, products / dots + 8 * rb * bn / chip.fp32_flops)
    turn = np.maximum(busy, 2 * loaded / SMEM_BYTES_A_CLOCK) + TURN_CLOCKS / 4
    share = np.minimum(warps / 4, 1.0)
    waiting = TURN_CLOCKS + WARP_CLOCKS * warps
    alone = np.maximum(busy / share, loaded / SHARED_BYTES_A_CLOCK["gpu"]) + waiting
    # Without stages V is waited for after K.
    ahead = np.maximum(of["ahead"].astype(np.float64), 1.0)
    paced = np.where(
        stages == 1,
        np.where(vector, 1, 2) * LOAD_CLOCKS + alone,
        np.maximum((LOAD_CLOCKS + alone) / ahead, alone),
    )
    resident = resident_blocks(device, warps, of["held"].astype(np.float64) + SLOTS, smem)
    slots = device.sm_count * resident
    waves = np.ceil(blocks / slots)
    idle = np.where(waves > 1, 1 - blocks / (waves * slots), 0.0)
    longer = 1 + WAVE_SHARE * (1 - 1 / waves) + IDLE_SHARE * idle
    left = rows * d * 4.0  # bytes of partial sums, a part
    last = split & (of["COMBINE"] == "last")
    arriving = np.where(last, ARRIVAL_CLOCKS + splits * left / (SHARED_BYTES_A_CLOCK["gpu"] * share), 0.0)
    stored = 2.0 * b * kv_heads * rows * d * element
    return Work(
        blocks=blocks,
        resident=resident,
        core_clocks=START_SHARE * START_CLOCKS + turns * turn,
        wait_clocks=START_CLOCKS + LOAD_CLOCKS + turns * paced + arriving,
        shared_bytes=blocks * (turns * loaded + np.where(split, 2 * left, 0.0)) + stored,
        dram_bytes=(_streamed(problem) + stored) * longer,
        before_us=LAUNCH_US + np.where(split & ~last, SECOND_US, 0.0),
    )


def _streamed(problem: Problem) -> float:
    """Bytes of keys and values that are there, once."""
    total, heads, d = (problem.dim(name) for name in ("total_kv", "kv_heads", "d"))
    return 2.0 * total * heads * d * DTYPE_BYTES[str(problem["dtype"])]
