"""What a config of triton_skinny does: the analytic model's part for strips that are streamed.

Bytes under way decide: a strip's stages, of all programs side by side. Nothing of it was fitted to this template.
"""

from __future__ import annotations

import numpy as np

from ...spaces.problems import DTYPE_BYTES, Problem
from ...spaces.targets import Gpu, Target
from ..chips import SMEM_BYTES_A_CLOCK, multiprocessor, resident_blocks
from ..columns import Columns
from ..limits import ADDRESSING_REGISTERS, WARP_THREADS
from ..roofline import SHARED_BYTES_A_CLOCK, Work
from .tile_work import LAUNCH_US, LOAD_CLOCKS, START_CLOCKS, START_SHARE, TURN_CLOCKS

ARRIVAL_CLOCKS = 2000.0
"""From the store of partial sums to the arrival counted, and from there to the first of all sums: three ways to L2."""

UNALIGNED_SLOWER = 3.5
"""Times a turn where rows of the streamed operand are not aligned to 16 bytes. Source: triton_work.py."""

SHARE_OF_TENSOR_CORES = 0.3
"""That a small tile reaches."""


def work(problem: Problem, target: Target, of: Columns) -> Work:
    """Of many configs."""
    assert isinstance(target.device, Gpu)
    device, chip = target.device, multiprocessor(target.device)
    m, n, k, batch = (problem.dim(name) for name in ("m", "n", "k", "batch"))
    wide, thin, element = max(m, n), min(m, n), DTYPE_BYTES[str(problem["dtype"])]
    names = ("BLOCK_W", "BLOCK_K", "num_warps", "num_stages", "SPLIT", "thin_block", "smem_bytes")
    bw, bk, warps, stages, split, bt, smem = (of[name].astype(np.float64) for name in names)
    vector = of["PRODUCT"] == "vector"
    blocks, turns = np.ceil(wide / bw) * split * batch, np.ceil(np.ceil(k / bk) / split)
    loaded = (bw + bt) * bk * element  # bytes, a turn
    row = k if str(problem["layout"]) in (("nt", "tt") if m <= n else ("nn", "nt")) else wide
    slower = UNALIGNED_SLOWER if row * element % 16 else 1.0

    flops = 2 * bw * bt * bk
    dots = chip.fp32_flops / 2 if problem["dtype"] == "fp32" else chip.tensor_flops * SHARE_OF_TENSOR_CORES
    cores = np.minimum(warps / 4, 1.0)
    busy = np.where(vector, flops / chip.fp32_flops * 2, flops / dots)
    turn = slower * np.maximum(busy, 2 * loaded / SMEM_BYTES_A_CLOCK) + TURN_CLOCKS
    alone = np.maximum(busy / cores, loaded / SHARED_BYTES_A_CLOCK["gpu"]) * slower + TURN_CLOCKS
    # A vector's loads without stages are a turn ahead at most: those of two turns are under way.
    ahead = np.where(vector & (stages == 1), 1.5, stages)
    paced = np.maximum((LOAD_CLOCKS + alone) / ahead, alone)
    each = np.where(vector, bw * bk * (1 + bt), bw * bt) / (warps * WARP_THREADS)
    resident = resident_blocks(device, warps, each + ADDRESSING_REGISTERS + 16, smem)
    sums = bw * bt * 4
    arriving = np.where(split > 1, ARRIVAL_CLOCKS + split * sums / SHARED_BYTES_A_CLOCK["gpu"], 0.0)
    stored = batch * m * n * DTYPE_BYTES[str(problem["out_dtype"])]
    return Work(
        blocks=blocks,
        resident=resident,
        core_clocks=START_SHARE * START_CLOCKS + turns * turn,
        wait_clocks=START_CLOCKS + LOAD_CLOCKS + turns * paced + arriving,
        shared_bytes=blocks * (turns * loaded + np.where(split > 1, 2 * sums, 0.0)) + stored,
        dram_bytes=np.full(len(bw), float(batch * (wide + thin) * k * element + stored)),
        before_us=np.full(len(bw), LAUNCH_US),
    )
