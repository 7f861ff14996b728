"""What a config of c_tiled does: the analytic model's part for packed panels on a processor.

Register tile, panels and blocks: Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, ACM TOMS
34(3), 2008. What streams through which cache: Low et al., Analytical Modeling Is Enough for High-Performance BLIS, ACM
TOMS 43(2), 2016. Clocks that say so were fitted to 2,900 times on one core of a Zen 5 server (AMD EPYC, AVX-512, eleven
shapes of fp32 nn, 250 to 300 random configs each, cold caches, 2026-11-23), and rounded: the machine was not idle.
"""

from __future__ import annotations

import numpy as np

from ...spaces.problems import Problem
from ...spaces.targets import Cpu, Target
from ..chips import Floats
from ..columns import Columns
from ..roofline import Work

FMAS_A_CLOCK, LOADS_A_CLOCK, ISSUED_A_CLOCK = 2.0, 2.0, 6.0
"""Vectors multiplied and loaded, and instructions issued, by one core of a processor of today. The last fitted."""

FMA_CLOCKS = 4.0
"""From a multiply-add to the next on the same sum. Source: Fog, Instruction tables: 4 on Skylake-X, Zen 3 to 5."""

PACK_CLOCKS, TRANSPOSE_CLOCKS = 0.6, 0.6
"""For each float that is packed, and beside that for each whose panel lies across its rows. Fitted."""

TILE_CLOCKS = 50.0
"""That a call of the register tile takes beside its loop. Fitted."""

PAGE_CLOCKS = 6.0
"""For each row of an operand read in place that lies on another page than the one before. Fitted."""

PAGE_BYTES = 4096
FLOAT_BYTES = 4
CALL_US = 2.0


def work(problem: Problem, target: Target, of: Columns) -> Work:
    """Of many configs."""
    assert isinstance(target.device, Cpu)
    device, layout = target.device, str(problem["layout"])
    m, n, k = (float(problem.dim(letter)) for letter in "mnk")
    mr, nrv, nr = of["MR"], of["NRV"], of["NRV"] * of["VW"]
    mc, nc, kc = (np.minimum(of[name], size) for name, size in (("MC", m), ("NC", n), ("KC", k)))
    packs_a, packs_b = of["PACK"] != "b", of["PACK"] != "a"
    a_panels, b_panels = np.ceil(m / mr), np.ceil(n / nr)
    tiles, slabs = a_panels * b_panels, np.ceil(k / kc)
    shares_m, shares_n = _shares(of["SPLIT"], device.threads, a_panels, b_panels)
    blocks_of_rows = np.minimum(device.threads, np.ceil(m / mc))  # dealt out where B is shared
    threads = np.where(of["SPLIT"] == "shared", blocks_of_rows, shares_m * shares_n)

    a_times = np.ceil(n / shares_n / nc) * shares_n  # that A is gone through
    b_times = np.where(of["SPLIT"] == "shared", 1.0, shares_m)
    a_floats, b_floats = a_times * m * k, b_times * n * k
    a_pack = packs_a * a_floats * (PACK_CLOCKS + TRANSPOSE_CLOCKS * (layout[0] == "n"))
    b_pack = packs_b * b_floats * (PACK_CLOCKS + TRANSPOSE_CLOCKS * (layout[1] == "t"))
    a_pages = tiles * mr * slabs if layout[0] == "n" else tiles * k
    a_far = (k if layout[0] == "n" else m) * FLOAT_BYTES >= PAGE_BYTES
    pages = ~packs_a * a_pages * a_far + ~packs_b * tiles * k * (n * FLOAT_BYTES >= PAGE_BYTES)
    computing = tiles * (k * _step(mr, nrv, of["KU"]) + slabs * (TILE_CLOCKS + mr * nrv))

    # The panel that an order keeps in L1 meets all panels of the other operand's block, from L2 if that fits there.
    a_streams = of["ORDER"] == "ji"
    streamed = np.where(a_streams, tiles * mr * k, tiles * nr * k)
    fits = np.where(a_streams, mc, nc) * kc * FLOAT_BYTES <= device.l2_bytes
    beyond = a_floats + b_floats + 2 * m * n * slabs + np.where(fits, 0.0, streamed)
    same = np.ones(len(mr))
    return Work(
        blocks=threads,
        resident=same,
        core_clocks=(computing + a_pack + b_pack + PAGE_CLOCKS * pages) / threads,
        wait_clocks=0.0 * same,
        shared_bytes=(streamed + beyond) * FLOAT_BYTES,
        dram_bytes=(m * k + k * n + 2 * m * n) * FLOAT_BYTES * same,  # C is fetched before it is written
        before_us=CALL_US * same,
    )


def _step(mr: Floats, nrv: Floats, unrolled: Floats) -> Floats:
    """Clocks of one step of K of a register tile: `nrv` vectors of B, a broadcast of A for each of `mr` rows."""
    sums, loads = mr * nrv, mr + nrv
    issued = sums + nrv + np.where(nrv > 1, mr, 0) + 4 / unrolled  # a broadcast used once is part of its multiply-add
    bounds = (sums / FMAS_A_CLOCK, loads / LOADS_A_CLOCK, issued / ISSUED_A_CLOCK, np.full(len(mr), FMA_CLOCKS))
    step: Floats = np.maximum.reduce(bounds)
    return step


def _shares(split: Floats, threads: int, a_panels: Floats, b_panels: Floats) -> tuple[Floats, Floats]:
    """Threads along M and along N, as the source deals them out."""
    low = max(d for d in range(1, threads + 1) if threads % d == 0 and d * d <= threads)
    along_m = np.where(np.isin(split, ("rows", "shared")), threads, np.where(split == "grid", low, 1))
    along_n = np.where(split == "cols", threads, np.where(split == "grid", threads // low, 1))
    return np.minimum(along_m, a_panels), np.minimum(along_n, b_panels)
