"""What a config of triton_flash does: the analytic model's part for tiles of queries over blocks of keys.

Nothing of it was fitted: it takes clocks of the chip's data sheets and those of gemm's tiles for loads.
"""

from __future__ import annotations

import numpy as np

from ...spaces.problems import DTYPE_BYTES, Problem
from ...spaces.targets import Gpu, Target
from ..chips import SMEM_BYTES_A_CLOCK, multiprocessor, resident_blocks
from ..columns import Columns
from ..roofline import Work

EXPONENTIALS_A_CLOCK = 16.0
"""Of one multiprocessor. Source: CUDA C++ Programming Guide, arithmetic instructions."""

INSTRUCTIONS_A_CLOCK = 128.0
"""Of threads, of one multiprocessor: four schedulers of a warp each."""

SOFTMAX_INSTRUCTIONS, MASK_INSTRUCTIONS, BIAS_INSTRUCTIONS = 5.5, 3.0, 4.0
"""Of a score: maximum, multiply-add, exponential, sum and half a conversion (SASS of Triton 3.6.0); then guesses."""

LOAD_CLOCKS, TURN_CLOCKS, START_CLOCKS, LAUNCH_US = 1000.0, 120.0, 1500.0, 2.0
"""From a load of a block of keys to its data; of barriers and of what both products wait for, a block; of a tile
beside its blocks; of a launch. Guesses."""

POINTER_CLOCKS = 60.0
"""More of a block of keys that is loaded by pointers: addresses. A guess."""


def work(problem: Problem, target: Target, of: Columns) -> Work:
    """Of many configs."""
    assert isinstance(target.device, Gpu)
    device = target.device
    chip, element = multiprocessor(device), DTYPE_BYTES[str(problem["dtype"])]
    names = ("BLOCK_M", "BLOCK_N", "num_warps", "num_stages", "programs", "tiles", "held", "smem_bytes")
    bm, bn, warps, stages, programs, tiles, held, smem = (of[name].astype(np.float64) for name in names)
    width = (of["d_first"] + of["d_rest"]).astype(np.float64)
    cut = bool(problem["is_causal"]) or problem.dim("window_size") > 0
    keys = problem.dim("pairs") / max(problem.dim("total_q"), 1)  # of a query, in the mean
    edges = (bm / bn + 1.0) / 2 if cut else 0.0  # blocks of which a tile sees a half in the mean
    turns = np.maximum(np.ceil(keys / bn), 1.0) + edges

    rate = float(chip.fp32_flops) if problem["dtype"] == "fp32" else chip.tensor_flops * 2.0 / element
    product = 4 * bm * bn * width / rate * (3.0 if problem["dtype"] == "tf32x3" else 1.0)
    product = np.maximum(product, (bm / 64 * 2 * bn * width + bm * width) * element / SMEM_BYTES_A_CLOCK)
    instructions = np.full(len(bm), SOFTMAX_INSTRUCTIONS)
    if problem["has_bias"] or problem["has_alibi"] or problem.dim("soft_cap_value"):
        instructions += BIAS_INSTRUCTIONS
    if cut:
        instructions += np.where(of["MASKS"] == "all", 1.0, np.minimum(2 * edges / turns, 1.0)) * MASK_INSTRUCTIONS
    exponentials = bm * bn / EXPONENTIALS_A_CLOCK * (2.0 if problem.dim("soft_cap_value") else 1.0)
    softmax = np.maximum(exponentials, bm * (bn * instructions + width) / INSTRUCTIONS_A_CLOCK)
    around = TURN_CLOCKS + np.where(of["LOADS"] == "tma", 0.0, POINTER_CLOCKS)
    # One program's products and exponentials come one after the other; those of others fill the gaps.
    turn = product + softmax + around
    paced = np.maximum(turn, (LOAD_CLOCKS + turn) / stages)
    resident = resident_blocks(device, warps, held + 24.0, smem)
    rounds = tiles * problem.dim("b") * problem.dim("h") / programs
    read = tiles * problem.dim("b") * problem.dim("h") * (turns * bn + bm) * 2 * width * element
    return Work(
        blocks=programs,
        resident=resident,
        core_clocks=rounds * (turns * (np.maximum(product, softmax) + around / 2) + START_CLOCKS / 4),
        wait_clocks=rounds * (turns * paced + START_CLOCKS),
        shared_bytes=read,
        dram_bytes=np.full(len(bm), float(problem.dim("bytes"))),
        before_us=np.full(len(bm), LAUNCH_US),
    )
