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

FMA_SHARE = 0.95
"""Of the multiply-adds a clock that a kernel keeps up while it does nothing else."""

L1_CLOCKS = 40.0
"""From a load to its data where L1 has it. Source: Jia et al., Dissecting the NVIDIA Volta GPU, 2018: 28 and more."""

SCATTERED = 8.0
"""Clocks of a warp's load of 32 lines of L1 instead of one: four sectors a clock."""

BANKS = 32

SCHEDULERS = 4
"""Of a multiprocessor, each of which issues an instruction of a warp a clock."""

WARP_TILE_READS = 0.5
"""Clocks of shared memory a float that each lane of a warp reads, where lanes read the same 16 bytes; else 1."""


def work(problem: Problem, target: Target, of: Columns) -> Work:
    """Of many configs."""
    assert isinstance(target.device, Gpu)
    device, layout = target.device, str(problem["layout"])
    m, n, k, batch = (problem.dim(letter) for letter in ("m", "n", "k", "batch"))
    names = ("BLOCK_M", "BLOCK_N", "TM", "TN", "BLOCK_K", "PAD", "UNROLL", "SPLIT_K", "STAGES", "threads")
    bm, bn, tm, tn, bk, pad, unroll, split, stages, threads = (of[name].astype(np.float64) for name in names)
    level = of["LEVEL"]
    staged, buffered = ~np.isin(level, ("coalesced", "naive")), level == "double_buffered"
    split = np.where(staged, split, 1.0)
    tiles, warps = np.ceil(m / bm) * np.ceil(n / bn) * batch, np.ceil(threads / WARP_THREADS)
    blocks, turns = tiles * split, np.ceil(np.ceil(k / bk) / split)
    fma = 2 * bm * bn / (FMA_SHARE * multiprocessor(device).fp32_flops)  # clocks, a step of K

    # Staged: a thread's operands come from shared memory, into which the whole block wrote them.
    by_warps = np.isin(level, ("warp_tile", "double_buffered"))
    floats = warps * (tm + tn)  # of each lane, a step of K
    reads = floats * np.where(by_warps, WARP_TILE_READS, 1.0)
    writes = (bm * _conflicts(layout[0] == "n", bk, bm, pad) + bn * _conflicts(layout[1] == "t", bk, bn, pad)) * 4
    issued = floats / np.clip(np.minimum(tm, tn), 1.0, 4.0) / SCHEDULERS
    step = np.maximum(fma + issued, reads)
    turn = bk * step + bk * writes / SMEM_BYTES_A_CLOCK + TURN_CLOCKS
    ahead = np.where(buffered, turn * np.maximum(stages - 1.0, 1.0), 0.0)  # that pass while a tile is on its way

    # Not staged: two loads from L1 a product, of which a warp's lie together or apart.
    down = level == "naive"  # lanes walk down a column of C, else along a row
    apart = np.where(down, layout[0] == "n", layout[1] == "t")
    single = np.maximum(fma, warps * (1.0 + np.where(apart, SCATTERED, 1.0)))

    smem_bytes = np.where(staged, of["tile_bytes"], 0.0) * np.where(buffered, stages, 1.0)
    registers = tm * tn + (tm + tn) * np.where(buffered, 2.0, 1.0) + ADDRESSING_REGISTERS
    resident = resident_blocks(device, warps, registers, smem_bytes)
    waiting = np.maximum(LOAD_CLOCKS - ahead, 0.0)
    stored = tiles * bm * bn * 4.0 * np.where(split > 1, 2 * split + 1, 1.0)
    return Work(
        blocks=blocks,
        resident=resident,
        core_clocks=START_SHARE * START_CLOCKS + np.where(staged, turns * turn, k * single),
        wait_clocks=START_CLOCKS + np.where(staged, turns * (waiting + turn), k * (L1_CLOCKS / unroll + single)),
        shared_bytes=tiles * (bm + bn) * k * 4.0 + stored,
        dram_bytes=read_bytes(problem, device, of, device.sm_count * resident) * batch + batch * m * n * 4.0,
        before_us=np.full(len(bm), LAUNCH_US),
    )


def _conflicts(turned: bool, bk: Floats, block: Floats, pad: Floats) -> Floats:
    """Times that a warp's store of a tile goes to one bank: lanes run along K, whose rows are block + pad apart."""
    lanes = np.minimum(bk, BANKS)
    apart = np.maximum(BANKS / np.gcd((block + pad).astype(np.int64), BANKS), 1.0)  # banks that these rows begin in
    return np.maximum(lanes / apart, 1.0) if turned else np.ones(len(bk))
