"""What a config of triton_flash does: the analytic model's part for tiles of queries over blocks of keys.

Clocks are of the chip's data sheets; the guesses beside them were adjusted by hand to 242 times of three problems of
bf16 (H200, 2026-11-23), on which order by estimate and by time agree to .56, .70 and .94 (Spearman). No other times.
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

LOAD_CLOCKS, TURN_CLOCKS, START_CLOCKS, LAUNCH_US = 1000.0, 300.0, 1500.0, 2.0
"""From a load of a block of keys to its data; of barriers and of what both products wait for, a block; of a tile
beside its blocks; of a launch. Guesses."""

STAYING = 1.15
"""Times a tile of a program that stays: of 4 x 16 x 4096 x 128 they were 1.03 to 1.35 times slower (H200,
2026-11-23)."""

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
    # Scores read Q from shared memory again for each block; a warpgroup reads all of K, and of V, for its 64 rows.
    half = 2 * bm * bn * width / rate * (3.0 if problem["dtype"] == "tf32x3" else 1.0)
    keys_read = bm / 64 * bn * width * element / SMEM_BYTES_A_CLOCK
    product = np.maximum(half, keys_read + bm * width * element / SMEM_BYTES_A_CLOCK) + np.maximum(half, keys_read)
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
    # A buffer is loaded, multiplied and free again; one of them is being multiplied.
    paced = np.where(
        stages > 1, np.maximum(turn, (LOAD_CLOCKS + turn) / np.maximum(stages - 1, 1)), 2 * LOAD_CLOCKS + turn
    )
    registers = np.where(of["MOST_REGISTERS"] > 0, of["MOST_REGISTERS"], held + 12.0)
    resident = resident_blocks(device, warps, registers, smem)
    rounds = tiles * problem.dim("b") * problem.dim("h") / programs * np.where(of["PROGRAMS"] == "tiles", 1.0, STAYING)
    read = tiles * problem.dim("b") * problem.dim("h") * (turns * bn + bm) * 2 * width * element
    return Work(
        blocks=programs,
        resident=resident,
        core_clocks=rounds * (turns * (np.maximum(product, softmax) + around) + START_CLOCKS / 4),
        wait_clocks=rounds * (turns * paced + START_CLOCKS),
        shared_bytes=read,
        dram_bytes=np.full(len(bm), float(problem.dim("bytes"))),
        before_us=np.full(len(bm), LAUNCH_US),
    )
