"""What a config of triton_tma does: the analytic model's part for tiles by TMA and wgmma.

Nothing of it was fitted: it takes the clocks of tile_work.py, which were, to another template's times. Of 2,016
times of 40 problems on an H200 (2026-11-23) the first config by estimate is at .942 of the best known, the best of
three at .969.
"""

from __future__ import annotations

import numpy as np

from ...spaces.problems import DTYPE_BYTES, Problem
from ...spaces.targets import Gpu, Target
from ..chips import SMEM_BYTES_A_CLOCK, Floats, multiprocessor, resident_blocks
from ..columns import Columns
from ..limits import ADDRESSING_REGISTERS, WARP_THREADS
from ..roofline import Work
from .operands import operands
from .tile_work import LAUNCH_US, LOAD_CLOCKS, START_CLOCKS, START_SHARE, TURN_CLOCKS, read_bytes

STORE_SHARE = 0.25
"""Of the store of a tile that the next one does not hide, in one loop with K. A guess."""

INSIDE = 2.5
"""Times a turn where a tile is turned on its way to the tensor cores. A guess."""

POINTER_STORE = 1.5
"""Times the store of a tile that goes there element by element. A guess."""

STORED_BYTES_A_CLOCK = 32.0
"""Of one multiprocessor into L2. A guess: half of what it reads."""


def work(problem: Problem, target: Target, of: Columns) -> Work:
    """Of many configs."""
    assert isinstance(target.device, Gpu)
    device = target.device
    m, n, k, batch = (problem.dim(name) for name in ("m", "n", "k", "batch"))
    element, out = DTYPE_BYTES[str(problem["dtype"])], DTYPE_BYTES[str(problem["out_dtype"])]
    names = ("BLOCK_M", "BLOCK_N", "BLOCK_K", "num_warps", "num_stages", "EPILOGUE_PARTS", "programs", "tiles")
    bm, bn, bk, warps, stages, parts, programs, tiles = (of[name].astype(np.float64) for name in names)
    turns, stays = np.ceil(k / bk), of["PROGRAMS"] != "tiles"
    loaded = (bm + bn) * bk * element  # bytes, a turn

    rate = multiprocessor(device).tensor_flops * 2.0 / element / (3.0 if problem["dtype"] == "tf32x3" else 1.0)
    read = (bm + bn * bm / 64) * bk * element  # a warpgroup reads all columns for each 64 rows
    inside, before = _turned(problem, of)
    slower = np.where(inside, INSIDE, 1.0)
    turn = slower * np.maximum(2 * bm * bn * bk / rate, (loaded + read) / SMEM_BYTES_A_CLOCK) + TURN_CLOCKS
    # A buffer is loaded, multiplied and free again; one of them is being multiplied.
    paced = np.maximum((LOAD_CLOCKS + turn) / (stages - 1), turn)
    tile_bytes = bm * bn * out
    store = tile_bytes / STORED_BYTES_A_CLOCK * np.where(of["STORE"] == "tma", 1.0, POINTER_STORE)
    hidden = np.where(stays & (of["LOOP"] != "nested"), STORE_SHARE, 1.0)
    resident = resident_blocks(
        device,
        warps,
        bm * bn / (warps * WARP_THREADS) + ADDRESSING_REGISTERS + 16,
        stages * loaded + np.where(stays & (of["STORE"] == "tma"), tile_bytes / parts, 0.0),
    )
    each = tiles / programs  # tiles of a program
    rounds = np.where(stays, np.ceil(each), 1.0)
    stored = tiles * tile_bytes
    inputs = batch * read_bytes(problem, device, of, np.minimum(device.sm_count * resident, programs))
    return Work(
        blocks=programs,
        resident=resident,
        core_clocks=START_SHARE * START_CLOCKS + rounds * (turns * turn + hidden * store),
        wait_clocks=START_CLOCKS + LOAD_CLOCKS + rounds * (turns * paced + hidden * store),
        shared_bytes=tiles * turns * loaded + stored,
        dram_bytes=inputs + float(batch * m * n * out),
        before_us=LAUNCH_US + before / (device.bandwidth_gbs * 1e3),
    )


def _turned(problem: Problem, of: Columns) -> tuple[Floats, Floats]:
    """Whether tiles are turned inside, and bytes moved before by copies and turns."""
    along_k = str(problem["dtype"]) in ("tf32", "int8", "fp8e4m3", "fp8e5m2")
    before, inside = np.zeros(len(of["TURN"])), np.zeros(len(of["TURN"]), dtype=bool)
    for x, rows in zip(operands(problem), "mn", strict=True):
        turns = along_k and x.dims[0] != rows
        moved = 2.0 * x.all_rows * x.row_bytes
        copied = moved if x.unaligned else 0.0
        before = before + (np.where(of["TURN"] == "before", moved, copied) if turns else copied)
        inside = inside | (turns & (of["TURN"] == "inside"))
    return inside, before
