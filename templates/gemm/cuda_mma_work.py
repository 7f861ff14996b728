"""What a config of cuda_mma does: the analytic model's part for mma.sync, with K shared out or not.

Nothing of it was fitted: no times of this template are known yet.
"""

from __future__ import annotations

import numpy as np

from ...spaces.problems import DTYPE_BYTES, Problem
from ...spaces.targets import Gpu, Target
from ..chips import SMEM_BYTES_A_CLOCK, Floats, clock_mhz, multiprocessor, resident_blocks
from ..columns import Columns
from ..limits import ADDRESSING_REGISTERS, WARP_THREADS
from ..roofline import SHARED_BYTES_A_CLOCK, Work
from .operands import operands
from .tile_work import LAUNCH_US, LOAD_CLOCKS, START_CLOCKS, START_SHARE, TURN_CLOCKS, read_bytes

MMA_SHARE = 0.62
"""Of the tensor cores' rate that products from registers reach where there are products from shared memory. Source: Luo
et al., Benchmarking and Dissecting the Hopper GPU, 2024."""

SCHEDULERS = 4
"""Of a multiprocessor, each with its tensor core: a warp has one of them."""

RATES = {"tf32": 0.5, "tf32x3": 0.5 / 3, "int8": 2.0, "fp8e4m3": 1.0, "fp8e5m2": 1.0}
"""Of the rate of 16-bit inputs. Products of fp8 by mma.sync take the way of fp16 on Hopper."""

ARRIVAL_CLOCKS = 2000.0
"""From the store of partial sums to the arrival counted, and from there to the first of all sums: three ways to L2."""

SLOWER_DIRECT = 3.0
"""Times a turn where rows are neither aligned nor copied."""


def work(problem: Problem, target: Target, of: Columns) -> Work:
    """Of many configs."""
    assert isinstance(target.device, Gpu)
    device, dtype = target.device, str(problem["dtype"])
    m, n, k, batch = (problem.dim(name) for name in ("m", "n", "k", "batch"))
    element, out = DTYPE_BYTES[dtype], DTYPE_BYTES[str(problem["out_dtype"])]
    names = ("BLOCK_M", "BLOCK_N", "BLOCK_K", "WARPS_M", "WARPS_N", "STAGES", "SPLIT_K")
    bm, bn, bk, warps_m, warps_n, stages, split = (of[name].astype(np.float64) for name in names)
    warps, tiles = warps_m * warps_n, np.ceil(m / bm) * np.ceil(n / bn) * batch
    turns = np.ceil(np.ceil(k / bk) / split)
    loaded = (bm + bn) * bk * element  # bytes, a turn
    read = (bm * warps_n + bn * warps_m) * bk * element

    chip = multiprocessor(device)
    rate = chip.tensor_flops * RATES.get(dtype, 1.0) * (MMA_SHARE if chip.warpgroups else 1.0)
    products, moves = 2 * bm * bn * bk / rate, (loaded + read) / SMEM_BYTES_A_CLOCK
    slower, copied = _unaligned(problem, of)
    turn = slower * np.maximum(products, moves) + TURN_CLOCKS
    alone = slower * np.maximum(products / np.minimum(warps / SCHEDULERS, 1.0), moves) + TURN_CLOCKS
    paced = np.maximum((LOAD_CLOCKS + alone) / (stages - 1), alone)  # as many loads under way as stages but one
    registers = bm * bn / (warps * WARP_THREADS) + (bm / warps_m + bn / warps_n) / 2 + ADDRESSING_REGISTERS
    resident = resident_blocks(device, warps, registers, of["smem_bytes"].astype(np.float64))

    tile_bytes, last = bm * bn * 4.0, (split > 1) & (of["SUM_UP"] == "last")
    partial_bytes = np.where(split > 1, tiles * split * tile_bytes, 0.0)
    arriving = last * (ARRIVAL_CLOCKS + split * tile_bytes / SHARED_BYTES_A_CLOCK["gpu"])
    everywhere = SHARED_BYTES_A_CLOCK["gpu"] * clock_mhz(target) * device.sm_count
    second_us = np.where((split > 1) & ~last, LAUNCH_US + partial_bytes / everywhere, 0.0)
    stored = float(m) * n * batch * out
    inputs = batch * read_bytes(problem, device, of, device.sm_count * resident)
    return Work(
        blocks=tiles * split,
        resident=resident,
        core_clocks=START_SHARE * START_CLOCKS + turns * turn + arriving / split,
        wait_clocks=START_CLOCKS + LOAD_CLOCKS + turns * paced + arriving,
        shared_bytes=tiles * split * turns * loaded + stored + partial_bytes * np.where(last, 2.0, 1.0),
        dram_bytes=inputs + stored,
        before_us=LAUNCH_US + copied / (device.bandwidth_gbs * 1e3) + second_us,
    )


def _unaligned(problem: Problem, of: Columns) -> tuple[Floats, Floats]:
    """How much slower turns are, and bytes copied before, where rows of A or B are not aligned to 16 bytes."""
    moved = sum(2.0 * x.all_rows * x.row_bytes for x in operands(problem) if x.unaligned)
    count = len(of["BLOCK_M"])
    if not moved:
        return np.ones(count), np.zeros(count)
    copies = of["UNALIGNED"] == "copy"
    return np.where(copies, 1.0, SLOWER_DIRECT), np.where(copies, moved, 0.0)
