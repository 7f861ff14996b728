"""What a config of cuda_skinny does: the analytic model's part for weights that are read once.

Nothing of it was fitted: no times of this template are known yet.
"""

from __future__ import annotations

import numpy as np

from ...spaces.problems import DTYPE_BYTES, Problem
from ...spaces.targets import Gpu, Target
from ..chips import SMEM_BYTES_A_CLOCK, multiprocessor, resident_blocks
from ..columns import Columns
from ..limits import ADDRESSING_REGISTERS
from ..roofline import Work
from .cuda_skinny_space import TAIL_BYTES
from .tile_work import LAUNCH_US, LOAD_CLOCKS, START_CLOCKS, START_SHARE

MMA_SHARE = 0.6
"""Of the tensor cores' rate that mma.sync reaches on Hopper. Source: Luo et al., Benchmarking and Dissecting the Nvidia
Hopper GPU, 2024."""

MEETING_CLOCKS = {"grid": 2500.0, "cluster": 1000.0}
"""From a block's sums to those of all: written, counted and read through L2, or two barriers and reads of a peer."""

TURN_CLOCKS = 40.0
"""A stage's barriers and addresses."""


def work(problem: Problem, target: Target, of: Columns) -> Work:
    """Of many configs."""
    assert isinstance(target.device, Gpu)
    device = target.device
    m, n, k = (problem.dim(letter) for letter in "mnk")
    element, out = DTYPE_BYTES[str(problem["dtype"])], DTYPE_BYTES[str(problem["out_dtype"])]
    side, tokens = max(m, n), min(m, n)
    names = ("TILES", "WARPS_L", "WARPS_K", "SPLIT", "STAGES", "BLOCK_K")
    tiles, warps_l, warps_k, split, stages, block_k = (of[name].astype(np.float64) for name in names)
    token_rows = 8 * 2 ** np.ceil(np.log2(np.ceil(tokens / 8)))
    direct, cluster = of["LOADS"] == "direct", of["REDUCE"] == "cluster"
    warps, rows = warps_l * warps_k, 16 * tiles * warps_l
    blocks = np.ceil(side / rows) * split
    share = k * element / split  # bytes of a row that a block reads

    # On their way to one block, and how long the block takes if it waits for each of them in turn.
    stage = np.where(direct, warps * 1024 * tiles, (rows + token_rows) * block_k * element)
    flying = stage * np.where(of["LOADS"] == "async", stages - 1, stages)
    loaded = (rows + np.where(direct, 0, token_rows)) * share
    turns = np.where(direct, 0.0, loaded / stage)
    products = 2 * rows * token_rows * share / element / (MMA_SHARE * multiprocessor(device).tensor_flops)
    read = warps_l * token_rows * share + np.where(direct, 0, 2 * rows * share + token_rows * share)
    busy = np.maximum(products, read / SMEM_BYTES_A_CLOCK) + turns * TURN_CLOCKS

    meeting = np.where(split > 1, np.where(cluster, MEETING_CLOCKS["cluster"], MEETING_CLOCKS["grid"]), 0.0)
    first_tokens = np.where(direct & (of["TOKENS"] == "shared"), 0.3 * LOAD_CLOCKS, 0.0)
    registers = (
        np.where(direct, stages * tiles * 8, tiles * 4) + tiles * token_rows / 2 + token_rows / 2 + ADDRESSING_REGISTERS
    )
    sums = warps_k * rows * tokens * 4
    staged = np.where(of["TOKENS"] == "global", 0.0, tokens * share)
    resident = resident_blocks(
        device, warps, registers, np.maximum(sums, np.where(direct, staged, flying)) + TAIL_BYTES
    )
    partial = np.where((split > 1) & ~cluster, 2.0, 0.0) * blocks * rows * tokens * 4
    stored = float(m * n * out)
    return Work(
        blocks=blocks,
        resident=resident,
        core_clocks=START_SHARE * START_CLOCKS + busy,
        wait_clocks=START_CLOCKS + first_tokens + (loaded / flying + 1) * LOAD_CLOCKS + products / warps + meeting,
        shared_bytes=blocks * (rows + token_rows) * share + partial + stored,
        dram_bytes=np.full(len(blocks), (side + tokens) * k * element + stored),
        before_us=np.full(len(blocks), LAUNCH_US),
    )
