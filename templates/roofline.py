"""The analytic model: how long a config takes by what it computes, what it moves and how its blocks fill the device.

It needs no measurement and ranks configs before anything ran. Order and ratios count: what is the same for all configs
of a problem on a device, its clock above all, is guessed (chips.py).

A template says the Work of its configs; the roofs are the same for all. Sources: Williams, Waterman and Patterson,
Roofline, CACM 52(4), 2009; of blocks, waves and tails: NVIDIA, Matrix Multiplication Background User's Guide, wave
quantization. Numbers were fitted where it says so: tile_work.py (a GPU), c_work.py (a processor).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..spaces.targets import Cpu, Target
from .chips import Floats, clock_mhz, cores

SHARED_BYTES_A_CLOCK = {"gpu": 52.0, "cpu": 24.0}
"""Between one core and the cache behind its own memory: a GPU's L2, a processor's L2 and L3. Fitted."""

DRAWING_ALL = 0.6
"""Share of the multiprocessors that draws all the bandwidth that memory has. Fitted."""

CPU_BANDWIDTH_GBS = 12.0
"""Of memory, one core of a server: a processor's target says nothing of it."""

SHARPNESS = 5.0
"""How the times under several roofs make one: 1 is their sum (nothing overlaps), infinity the longest (all does).
Fitted: 6 on a GPU, 4 on a processor."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What configs do: [configs] each, of a whole launch unless it says of one block."""

    blocks: Floats  # programs launched; on a processor, the threads that take a share
    resident: Floats  # blocks that one core holds at once, 1 or more
    core_clocks: Floats  # of one block: a core is busy with it, computing or with its own memory
    wait_clocks: Floats  # of one block: from its start to its end, even where it has a core for itself
    shared_bytes: Floats  # moved between cores and the cache behind them
    dram_bytes: Floats  # moved between that cache and memory
    before_us: Floats  # that passes whatever the blocks do


def estimates_us(work: Work, target: Target) -> Floats:
    """µs [configs]: the roofs of computing, waiting, the shared cache and memory, where the longest counts most.

    Computing takes as long as the core with the most blocks: a last wave that is not full, a tail, costs like a full
    one. Waiting takes as long as there are waves of blocks that cores hold at once. Cores without a block move nothing.
    """
    count, clock = cores(target), clock_mhz(target)
    busy_us = np.ceil(work.blocks / count) * work.core_clocks / clock
    wait_us = np.ceil(work.blocks / (count * work.resident)) * work.wait_clocks / clock
    share = np.minimum(work.blocks / count, 1.0)
    shared_us = work.shared_bytes / (SHARED_BYTES_A_CLOCK[target.kind] * clock * count * share)
    dram_us = work.dram_bytes / (1e3 * _bandwidth_gbs(target, share))
    roofs = np.stack([busy_us, wait_us, shared_us, dram_us])
    longest = roofs.max(axis=0)
    together: Floats = longest * ((roofs / longest) ** SHARPNESS).sum(axis=0) ** (1 / SHARPNESS)
    return work.before_us + together


def _bandwidth_gbs(target: Target, share: Floats) -> Floats:
    """What this share of the cores draws from memory, GB/s."""
    if isinstance(target.device, Cpu):
        return CPU_BANDWIDTH_GBS * cores(target) * share
    return target.device.bandwidth_gbs * np.minimum(share / DRAWING_ALL, 1.0)
