"""What a config of triton_tiled does: the analytic model's part for tiles on tensor cores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...spaces.problems import DTYPE_BYTES, Problem
from ...spaces.targets import Gpu, Target
from ..chips import SMEM_BYTES_A_CLOCK, Floats, Multiprocessor, multiprocessor, resident_blocks
from ..columns import Columns
from ..limits import ADDRESSING_REGISTERS, WARP_THREADS
from ..roofline import Work
from ..tensor_map import ALIGNED_BYTES
from .tile_work import LAUNCH_US, LOAD_CLOCKS, START_CLOCKS, START_SHARE, TURN_CLOCKS, read_bytes

MMA_SHARE = 0.45
"""Of the tensor cores' rate that products from registers reach where there are products from shared memory. Fitted with
the clocks of tile_work.py; 62 % is the most: Luo et al., Benchmarking and Dissecting the Hopper GPU, 2024."""

FP32_SHARE = 0.5
"""Of the ordinary cores' rate that a compiled product of fp32 reaches."""

SCHEDULERS = 4
"""Of a multiprocessor, each with its tensor core: a warp has one of them."""

RATES = {"int8": 2.0, "fp8e4m3": 2.0, "fp8e5m2": 2.0, "tf32": 0.5, "tf32x3": 1 / 6}
"""Of the tensor cores, as against 16-bit inputs. Source: data sheet of the H200; tf32x3 is three products of tf32."""

WARPGROUP = 4
"""Warps that multiply 64 rows together. Source: PTX ISA, wgmma."""

SHORT_ROW_BYTES = 64.0
"""Under which a row of a tile costs L2 as much as this: two sectors."""


SLOWER_DIRECT, SLOWER_CHUNKS = 3.5, 2.0
"""Times a turn where rows are neither aligned nor copied. Source: docs/measured_facts.md, 777 x 3333 x 2048 on an H200:
75 and 41 µs where aligned rows take 21."""


def work(problem: Problem, target: Target, of: Columns) -> Work:
    """Of many configs."""
    assert isinstance(target.device, Gpu)
    device = target.device
    m, n, k = (problem.dim(letter) for letter in "mnk")
    batch = int(problem.symbols().get("batch", 1))
    element, out = DTYPE_BYTES[str(problem["dtype"])], DTYPE_BYTES[str(problem["out_dtype"])]
    layout = str(problem["layout"])
    names = ("BLOCK_M", "BLOCK_N", "BLOCK_K", "num_warps", "num_stages")
    bm, bn, bk, warps, stages = (of[name].astype(np.float64) for name in names)
    blocks, turns = batch * np.ceil(m / bm) * np.ceil(n / bn), np.ceil(k / bk)
    a_row, b_row = (bk if layout[0] == "n" else bm) * element, (bn if layout[1] == "n" else bk) * element
    loaded = (bm + bn) * bk * element  # bytes, a turn
    fetched = (bm * _waste(a_row) + bn * _waste(b_row)) * bk * element

    rate, read = _products(str(problem["dtype"]), multiprocessor(device), bm, bn, bk * element, warps)
    products = 2 * bm * bn * bk / rate
    moves = (loaded + read) / SMEM_BYTES_A_CLOCK
    slower, copied = _unaligned(problem, of["UNALIGNED"])
    turn = slower * np.maximum(products, moves) + TURN_CLOCKS
    by_warps = products / np.minimum(warps / SCHEDULERS, 1.0)
    alone = slower * np.maximum(by_warps, moves) + TURN_CLOCKS  # beside no other block
    # A buffer is loaded, multiplied and free again; of those that there are, one is being multiplied.
    paced = np.maximum((LOAD_CLOCKS + alone) / np.maximum(stages - 1, 1), alone)
    sums = bm * bn / (warps * WARP_THREADS)
    resident = resident_blocks(device, warps, sums + ADDRESSING_REGISTERS + 16, stages * loaded)
    stored = blocks * bm * bn * out
    inputs = batch * read_bytes(problem, device, of, device.sm_count * resident)
    return Work(
        blocks=blocks,
        resident=resident,
        core_clocks=START_SHARE * START_CLOCKS + turns * turn,
        wait_clocks=START_CLOCKS + LOAD_CLOCKS + turns * paced,
        shared_bytes=blocks * turns * fetched + stored,
        dram_bytes=inputs + stored,
        before_us=LAUNCH_US + copied / (device.bandwidth_gbs * 1e3),
    )


def _waste(row_bytes: Floats) -> Floats:
    """Bytes moved for each byte of a row that is wanted."""
    return np.maximum(SHORT_ROW_BYTES / row_bytes, 1.0)


def _products(
    dtype: str, chip: Multiprocessor, bm: Floats, bn: Floats, k_bytes: Floats, warps: Floats
) -> tuple[Floats, Floats]:
    """Flop a clock, and bytes that the products of a turn read from shared memory.

    A warp reads the rows and columns of its part of the tile; a warpgroup reads its columns once for each 64 rows, and
    its rows.
    """
    across = np.minimum(2.0 ** np.floor(np.log2(warps) / 2), np.maximum(bn / 16, 1.0))  # warps side by side
    by_warp = (bm * across + bn * warps / across) * k_bytes
    if dtype == "fp32":
        return np.full(len(bm), FP32_SHARE * chip.fp32_flops), by_warp
    tensor_flops = chip.tensor_flops * RATES.get(dtype, 1.0)
    if not chip.warpgroups:
        return np.full(len(bm), tensor_flops), by_warp
    grouped = (bm >= 64) & (warps % WARPGROUP == 0)
    groups = warps / WARPGROUP
    down = np.minimum(groups, np.maximum(bm / 64, 1.0))
    by_group = (bm * groups / down + bn * bm / 64) * k_bytes
    rate = tensor_flops * np.where(grouped, 1.0, MMA_SHARE)
    return rate, np.where(grouped, by_group, by_warp)


def _unaligned(problem: Problem, way: NDArray[np.str_]) -> tuple[Floats, Floats]:
    """How much slower turns are, and bytes copied before, where rows of A or B are not aligned to 16 bytes."""
    m, n, k = (problem.dim(letter) for letter in "mnk")
    layout, element = str(problem["layout"]), DTYPE_BYTES[str(problem["dtype"])]
    operands = ((m * k, k if layout[0] == "n" else m), (k * n, n if layout[1] == "n" else k))
    batch = int(problem.symbols().get("batch", 1))
    copied = [size for size, columns in operands if columns * element % ALIGNED_BYTES and element <= 2]
    moved = 2.0 * batch * element * sum(copied)
    if not moved:
        return np.ones(len(way)), np.zeros(len(way))
    slower = np.where(way == "direct", SLOWER_DIRECT, np.where(way == "chunks", SLOWER_CHUNKS, 1.0))
    return slower, np.where(way == "copy", moved, 0.0)
