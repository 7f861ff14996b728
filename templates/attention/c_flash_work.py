"""What a config of c_flash does: the analytic model's part for attention on a processor.

Clocks of multiply-adds and loads are those of c_tiled (gemm/c_work.py), where they were fitted; those of a score are
counted from the source. No time of c_flash itself has been fitted yet.
"""

from __future__ import annotations

import numpy as np

from ...spaces.problems import Problem
from ...spaces.targets import Cpu, Target
from ..chips import Floats
from ..columns import Columns
from ..roofline import Work

FMAS_A_CLOCK, LOADS_A_CLOCK, ISSUED_A_CLOCK, FMA_CLOCKS = 2.0, 2.0, 6.0, 4.0
"""As of gemm/c_work.py."""

TILE_CLOCKS, TASK_CLOCKS, COPY_CLOCKS = 30.0, 500.0, 0.1
"""Of a call of a register tile, of a task, of a float that is copied."""

SCORE_CLOCKS, FEATURE_CLOCKS, LANE_CLOCKS = 12.0, 4.0, 3.0
"""Of a vector of scores: maximum, exponential, sum; for each of cap, bias, ALiBi; of a sum across lanes, a vector."""

FLOAT_BYTES = 4
CALL_US = 2.0


def work(problem: Problem, target: Target, of: Columns) -> Work:
    """Of many configs."""
    assert isinstance(target.device, Cpu)
    b, h, d, group = (float(problem.dim(name)) for name in ("b", "h", "d", "group"))
    names = ("BLOCK_M", "BLOCK_N", "NK", "MV", "MR", "NV", "VW", "KU", "SPLITS", "rows", "tiles")
    bm, bn, nk, mv, mr, nv, vw, ku, splits, rows, tiles = (of[name].astype(np.float64) for name in names)
    by_rows, together = of["QK"] == "rows", of["HEADS"] == "together"
    heads = b * np.where(together, h / group, h)
    tasks = heads * tiles * splits

    seen = max(float(problem.dim("pairs")) / max(b * float(problem.dim("s")), 1.0), 1.0)  # keys of a query, in the mean
    keys = seen + np.where(problem.dim("pairs") < b * problem.dim("s") * problem.dim("kv_len"), bn, 0.0)  # of a tile
    blocks = np.ceil(keys / bn)
    slots = np.ceil(d / vw)
    wide = np.where(by_rows, mv * vw, mv)
    held = np.minimum(bm, np.ceil(rows / wide) * wide)  # rows of a tile that are computed
    deep = np.where(by_rows, d, slots)
    calls = np.ceil(held / wide) * keys / nk
    products = calls * (deep * _step(nk, mv, ku) + TILE_CLOCKS + np.where(by_rows, 0.0, LANE_CLOCKS * nk * mv))
    sums = np.ceil(np.minimum(held, rows) / mr) * (slots / nv) * (keys * _step(mr, nv, ku) + blocks * TILE_CLOCKS)
    features = (problem.dim("soft_cap_value") > 0) + bool(problem["has_bias"]) + bool(problem["has_alibi"])
    softening = np.ceil(held / np.where(by_rows, vw, 1)) * keys * np.where(by_rows, 1, 1 / vw)
    softening *= SCORE_CLOCKS + FEATURE_CLOCKS * features
    copying = np.where(of["COPY"] == "kv", COPY_CLOCKS * 2 * keys * d, 0.0)
    task = TASK_CLOCKS + bm * d + (products + sums + softening + copying) / splits

    threads = np.minimum(tasks, target.device.threads)
    streamed = heads * tiles * 2 * keys * d + tasks * 2 * bm * d
    return Work(
        blocks=threads,
        resident=np.ones(len(bm)),
        core_clocks=np.ceil(tasks / threads) * task,
        wait_clocks=np.zeros(len(bm)),
        shared_bytes=streamed * FLOAT_BYTES,
        dram_bytes=np.full(len(bm), float(problem.dim("bytes"))),
        before_us=np.full(len(bm), CALL_US),
    )


def _step(rows: Floats, wide: Floats, unrolled: Floats) -> Floats:
    """Clocks of one step of a register tile: `wide` vectors, a broadcast for each of `rows`."""
    sums, loads = rows * wide, rows + wide
    issued = sums + wide + np.where(wide > 1, rows, 0) + 4 / unrolled
    bounds = (sums / FMAS_A_CLOCK, loads / LOADS_A_CLOCK, issued / ISSUED_A_CLOCK, np.full(len(rows), FMA_CLOCKS))
    step: Floats = np.maximum.reduce(bounds)
    return step
