"""What a config of triton_splitk does: the analytic model's part for tiles whose K is shared out.

It is triton_tiled's with as much shorter loops, and partial sums that go to L2 and back. Nothing of the sums' way was
fitted: no times of this template are known yet.
"""

from __future__ import annotations

import numpy as np

from ...spaces.problems import Problem
from ...spaces.targets import Gpu, Target
from ..chips import Floats, clock_mhz
from ..columns import Columns
from ..roofline import SHARED_BYTES_A_CLOCK, Work
from .tile_work import LAUNCH_US, LOAD_CLOCKS, START_CLOCKS, START_SHARE
from .triton_work import work as tiled_work

POINTERS_SLOWER = 1.15
"""Times that a turn takes whose loads go by pointers where TMA could have made them."""

ARRIVAL_CLOCKS = 2000.0
"""From the store of partial sums to the arrival counted, and from there to the first of all sums: three ways to L2."""

ATOMIC_SHARE = 0.5
"""Of the rate of stores at which L2 adds."""


def work(problem: Problem, target: Target, of: Columns) -> Work:
    """Of many configs."""
    assert isinstance(target.device, Gpu)
    tiled = whole_tiles(problem, target, of)
    parts, turns = of["PARTS"].astype(np.float64), np.ceil(problem.dim("k") / of["BLOCK_K"])
    share = np.ceil(turns / parts) / turns
    last, atomic = of["REDUCE"] == "last", of["REDUCE"] == "atomic"
    tile_bytes = of["BLOCK_M"] * of["BLOCK_N"] * 4.0
    partial_bytes = tiled.blocks * parts * tile_bytes
    finished = ~last & (of["finishing"] | ~atomic)
    gathered = np.where(atomic, tiled.blocks * tile_bytes, partial_bytes)  # bytes a second kernel reads
    everywhere = SHARED_BYTES_A_CLOCK["gpu"] * clock_mhz(target) * target.device.sm_count
    second_us = np.where(finished, LAUNCH_US + gathered / everywhere, np.where(atomic, LAUNCH_US, 0.0))
    arriving = last * (ARRIVAL_CLOCKS + parts * tile_bytes / SHARED_BYTES_A_CLOCK["gpu"])
    stored_clocks = tile_bytes / SHARED_BYTES_A_CLOCK["gpu"] / np.where(atomic, ATOMIC_SHARE, 1.0)
    return Work(
        blocks=tiled.blocks * parts,
        resident=tiled.resident,
        core_clocks=part_of(tiled.core_clocks, START_SHARE * START_CLOCKS, share) + arriving / parts,
        wait_clocks=part_of(tiled.wait_clocks, START_CLOCKS + LOAD_CLOCKS, share) + arriving + stored_clocks,
        shared_bytes=tiled.shared_bytes + partial_bytes * np.where(last, 2.0, 1.0),
        dram_bytes=tiled.dram_bytes,
        before_us=tiled.before_us + second_us,
    )


def part_of(clocks: Floats, once: float, share: Floats) -> Floats:
    """Clocks of a block with a share of the turns, of which `once` pass whatever the turns are."""
    return once + (clocks - once) * share


def whole_tiles(problem: Problem, target: Target, of: Columns) -> Work:
    """As if each tile were one block's."""
    copied = np.isin(of["LOADS"], ("copied_tma", "copied_pointer"))
    given = {**of, "UNALIGNED": np.where(copied, "copy", "direct")}
    for name, value in (("GROUP", 8), ("ORDER", "m")):
        given.setdefault(name, np.full(len(copied), value))
    tiled = tiled_work(problem, target, given)
    slower = np.where(np.isin(of["LOADS"], ("tma", "copied_tma")), 1.0, POINTERS_SLOWER)
    return Work(
        blocks=tiled.blocks,
        resident=tiled.resident,
        core_clocks=tiled.core_clocks * slower,
        wait_clocks=tiled.wait_clocks * slower,
        shared_bytes=tiled.shared_bytes,
        dram_bytes=tiled.dram_bytes,
        before_us=tiled.before_us,
    )
