"""What a config of cuda_simt does: the analytic model's part for fp32 on the ordinary cores.

Nothing of it was fitted: no times of this template are known yet.
"""

from __future__ import annotations

import numpy as np

from ...spaces.problems import Problem
from ...spaces.targets import Gpu, Target
from ..chips import SMEM_BYTES_A_CLOCK, Floats, multiprocessor, resident_blocks
from ..columns import Columns
from ..limits import ADDRESSING_REGISTERS, WARP_THREADS
from ..roofline import Work
from .tile_work import LAUNCH_US, LOAD_CLOCKS, START_CLOCKS, START_SHARE, TURN_CLOCKS, read_bytes

FMA_SHARE = 0.85
"""Of the multiply-adds a clock that a kernel keeps up beside its other instructions."""

L1_CLOCKS = 40.0
"""From a load to its data where L1 has it. Source: Jia et al., Dissecting the NVIDIA Volta GPU, 2018: 28 and more."""

SCATTERED = 8.0
"""Clocks of a warp's load of 32 lines of L1 instead of one: four sectors a clock."""

BANKS = 32


def work(problem: Problem, target: Target, of: Columns) -> Work:
    """Of many configs."""
    assert isinstance(target.device, Gpu)
    device, layout = target.device, str(problem["layout"])
    m, n, k = (problem.dim(letter) for letter in "mnk")
    names = ("BLOCK_M", "BLOCK_N", "TM", "TN", "BLOCK_K", "PAD", "UNROLL", "threads")
    bm, bn, tm, tn, bk, pad, unroll, threads = (of[name].astype(np.float64) for name in names)
    staged = np.isin(of["LEVEL"], ("shared", "registers"))
    blocks, turns, warps = np.ceil(m / bm) * np.ceil(n / bn), np.ceil(k / bk), np.ceil(threads / WARP_THREADS)
    fma = 2 * bm * bn / (FMA_SHARE * multiprocessor(device).fp32_flops)  # clocks, a step of K

    # Staged: a thread's operands come from shared memory, into which the whole block wrote them.
    reads = threads * (tm + tn) * 4 / SMEM_BYTES_A_CLOCK
    writes = (bm * _conflicts(layout[0] == "n", bk, bm, pad) + bn * _conflicts(layout[1] == "t", bk, bn, pad)) * 4
    turn = bk * np.maximum(fma, reads) + bk * writes / SMEM_BYTES_A_CLOCK + TURN_CLOCKS

    # Not staged: two loads from L1 a product, of which a warp's lie together or apart.
    down = of["LEVEL"] == "naive"  # lanes walk down a column of C, else along a row
    apart = np.where(down, layout[0] == "n", layout[1] == "t")
    step = np.maximum(fma, warps * (1.0 + np.where(apart, SCATTERED, 1.0)))

    smem_bytes = np.where(staged, (bm + bn + 2 * pad) * bk * 4, 0.0)
    resident = resident_blocks(device, warps, tm * tn + tm + tn + ADDRESSING_REGISTERS, smem_bytes)
    stored = blocks * bm * bn * 4.0
    return Work(
        blocks=blocks,
        resident=resident,
        core_clocks=START_SHARE * START_CLOCKS + np.where(staged, turns * turn, k * step),
        wait_clocks=START_CLOCKS + np.where(staged, turns * (LOAD_CLOCKS + turn), k * (L1_CLOCKS / unroll + step)),
        shared_bytes=blocks * (bm + bn) * k * 4.0 + stored,
        dram_bytes=read_bytes(problem, device, of, device.sm_count * resident) + stored,
        before_us=np.full(len(bm), LAUNCH_US),
    )


def _conflicts(turned: bool, bk: Floats, block: Floats, pad: Floats) -> Floats:
    """Times that a warp's store of a tile goes to one bank: lanes run along K, whose rows are block + pad apart."""
    lanes = np.minimum(bk, BANKS)
    apart = np.maximum(BANKS / np.gcd((block + pad).astype(np.int64), BANKS), 1.0)  # banks that these rows begin in
    return np.maximum(lanes / apart, 1.0) if turned else np.ones(len(bk))
